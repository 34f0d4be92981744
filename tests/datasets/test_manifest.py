"""The manifest: written as it was, refused if it is damaged or leads elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.datasets import (
    DataSet,
    Manifest,
    Region,
    Rules,
    SliceEntry,
    Study,
    read_manifest,
    root_of,
    with_relative_roots,
    write_manifest,
)
from napari_samri.datasets.manifest_file import manifest_from_json, manifest_to_json
from napari_samri.errors import InputError, StoreError


def a_study(split="train", **changes):
    entry = SliceEntry(2, "0" * 16, "f" * 16, (Region(3, 30, (1, 2, 6, 7), 2),))
    study = Study("a", "p", split, "i/x.nii", "l/x.nii", 0, (4, 10, 12), (3.0, 0.5, 0.25), (entry,))
    return replace(study, **changes)


def a_manifest(**changes):
    data = DataSet("a", "/data/ä", "pairs", {1: "liver", 20: "bone"}, zero_shot=False)
    manifest = Manifest((data,), (a_study(),), Rules(seed=7), {"b": 2, "a": 1}, ("a: ü",))
    return replace(manifest, **changes)


def test_round_trip(tmp_path):
    path = tmp_path / "m.json"
    write_manifest(path, a_manifest())
    assert read_manifest(path) == a_manifest()
    assert read_manifest(path).rows == 1
    assert read_manifest(path).studies[0].slice_shape == (10, 12)
    assert read_manifest(path).studies[0].pixel_spacing_mm == (0.5, 0.25)


@pytest.mark.parametrize(
    "rules", [Rules(), Rules(min_share=0, train=70.5, validation=20, test=9.5)]
)
def test_what_was_read_is_written_as_it_was(rules):
    """To the byte: the name of a bank's part is a hash of it."""
    content = manifest_to_json(a_manifest(rules=rules))
    assert manifest_to_json(manifest_from_json(content, "m.json")) == content


def test_channels_and_classes(tmp_path):
    """They come back, and manifests without them are what they were before there were any."""
    study = a_study(channel=3, classes=((2, "l/spleen.nii"), (1, "l/liver.nii")))
    write_manifest(tmp_path / "m.json", a_manifest(studies=(study,)))
    assert read_manifest(tmp_path / "m.json").studies == (study,)
    plain = json.loads(manifest_to_json(a_manifest()))["studies"][0]
    assert not plain.keys() & {"channel", "classes"}


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"channel": -1}, "the channel is -1"),
        ({"classes": ((1, "a"), (1, "b"))}, "different ones"),
        ({"classes": ((0, "a"),)}, "different ones"),
        ({"classes": ((65536, "a"),)}, "different ones"),
        ({"classes": ((1, "../a"),)}, "leaves its data set's root"),
    ],
)
def test_damaged_channels_and_classes(changes, flaw):
    content = manifest_to_json(a_manifest(studies=(a_study(**changes),)))
    with pytest.raises(InputError, match=flaw):
        manifest_from_json(content, "m.json")


@given(st.permutations(["a", "b", "c"]), st.permutations([1, 2, 30]))
def test_equal_manifests_give_equal_bytes(reasons, labels):
    data = DataSet("a", "/", "pairs", dict.fromkeys(labels, "x"))
    manifest = a_manifest(datasets=(data,), left_out=dict.fromkeys(reasons, 1))
    plain = DataSet("a", "/", "pairs", dict.fromkeys([1, 2, 30], "x"))
    expected = a_manifest(datasets=(plain,), left_out={"a": 1, "b": 1, "c": 1})
    assert manifest_to_json(manifest) == manifest_to_json(expected)


@pytest.mark.parametrize(
    "path", ["../x.nii", "a/../../x", "/etc/passwd", "C:/x", "..\\x", "\\x", "", ".", "a\0b"]
)
@pytest.mark.parametrize("key", ["image", "labels"])
def test_paths_that_leave_their_root(path, key):
    content = manifest_to_json(a_manifest(studies=(a_study(**{key: path}),)))
    said = "leaves its data set's root" if path or key == "image" else "are not those of the study"
    with pytest.raises(InputError, match=said):
        manifest_from_json(content, "m.json")


def changed(path, value):
    content = json.loads(manifest_to_json(a_manifest()))
    item = content
    for key in path[:-1]:
        item = item[key]
    item[path[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["studies", 0, "dataset"], "other"),
        (["studies", 0, "split"], "training"),
        (["studies", 0, "axis"], 3),
        (["studies", 0, "shape"], [1, 2]),
        (["studies", 0, "slices"], [[4, "", "", []]]),
        (["studies", 0, "slices"], [[-1, "", "", []]]),
        (["studies", 0, "slices"], 3),
        (["studies", 0, "slices"], [[2, "", "", []], [1, "", "", []]]),
        (["studies", 0, "slices", 0, 3], [[3, 30, 1, 2, 12, 7, 2]]),
        (["studies", 0, "slices", 0, 3], [[3, 30, 7, 2, 6, 7, 2]]),
        (["studies", 0, "slices", 0, 3], [[3, 30, -1, 2, 6, 7, 2]]),
        (["studies", 0, "slices", 0, 3], [[0, 30, 1, 2, 6, 7, 2]]),
        (["studies", 0, "slices", 0, 3], [[65536, 30, 1, 2, 6, 7, 2]]),
        (["studies", 0, "shape"], [0, 10, 12]),
        (["studies", 0, "spacing_mm"], [1, 0, 1]),
        (["studies", 0, "spacing_mm"], [1, float("nan"), 1]),
        (["studies"], None),
        (["datasets"], []),
        (["datasets"], None),
        (["rules", "extra"], 1),
        (["rules", "min_pixels"], "ten"),
        (["left_out"], []),
        (["left_out"], {"a": -1}),
        (["studies", 0, "axis"], float("inf")),
        (["studies", 0, "axis"], True),
        (["studies", 0, "axis"], "0"),
        (["studies", 0, "shape"], [4, 10, 12.0]),
        (["studies", 0, "shape"], [4, 10, 10**300]),
        (["studies", 0, "spacing_mm"], [1, 1, 10**400]),
        (["studies", 0, "spacing_mm"], "111"),
        (["studies", 0, "channel"], float("inf")),
        (["studies", 0, "channel"], "0"),
        (["studies", 0, "classes"], [["1", "a"]]),
        (["studies", 0, "classes"], [[1]]),
        (["studies", 0, "classes"], {"1": "a"}),
        (["studies", 0, "image"], None),
        (["studies", 0, "patient"], 7),
        (["studies", 0, "slices", 0, 0], float("nan")),
        (["studies", 0, "slices", 0, 3], [[3, 30, 1, 2, float("inf"), 7, 2]]),
        (["studies", 0], "x"),
        (["datasets", 0, "label_names"], {"x": "liver"}),
        (["datasets", 0, "label_names"], {"9" * 5000: "liver"}),
        (["datasets", 0, "zero_shot"], "no"),
        (["rules", "seed"], float("inf")),
        (["rules", "train"], float("nan")),
        (["version"], True),
        (["problems"], json.loads("[" * 500 + "]" * 500)),
    ],
)
def test_damaged(path, value):
    with pytest.raises(InputError, match=r"m\.json: .*Prepare") as raised:
        manifest_from_json(changed(path, value), "m.json")
    assert len(str(raised.value)) < 600


def test_a_flaw_is_told_with_its_place():
    with pytest.raises(InputError, match=r"studies\[0\]\.axis is inf; expected a whole number"):
        manifest_from_json(changed(["studies", 0, "axis"], float("inf")), "m.json")


def test_newer_versions_are_refused():
    with pytest.raises(InputError, match="has the version 2; expected 1"):
        manifest_from_json(changed(["version"], 2), "m.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[1]", b"nothing", b"\xff", b"[" * 100_000])
def test_no_manifest(content):
    with pytest.raises(InputError, match=r"m\.json"):
        manifest_from_json(content, "m.json")


def test_every_cut_is_refused():
    content = manifest_to_json(a_manifest())
    for end in range(0, len(content) - 2, 7):
        with pytest.raises(InputError):
            manifest_from_json(content[:end], "m.json")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_manifest(tmp_path / "m.json")
    with pytest.raises(InputError, match="is no file"):
        read_manifest(tmp_path)
    with pytest.raises(StoreError):
        write_manifest(tmp_path / "no" / "m.json", a_manifest())


def test_roots(tmp_path):
    data, out = tmp_path / "data" / "knees", tmp_path / "out"
    data.mkdir(parents=True)
    out.mkdir()
    manifest = a_manifest(datasets=(DataSet("a", str(data), "pairs"),))
    (moved,) = with_relative_roots(manifest, out).datasets
    assert moved.root == "../data/knees"
    assert root_of(moved, out / "m.json").resolve() == data
    assert root_of(manifest.datasets[0], out / "m.json") == data


def test_relative_roots_beyond_a_link(tmp_path):
    data, real = tmp_path / "data", tmp_path / "deep" / "er"
    data.mkdir()
    real.mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    manifest = a_manifest(datasets=(DataSet("a", str(data), "pairs"),))
    (moved,) = with_relative_roots(manifest, tmp_path / "link").datasets
    assert root_of(moved, tmp_path / "link" / "m.json").resolve() == data

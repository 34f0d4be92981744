"""What data sets and patients are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_samri.datasets import Source
from napari_samri.datasets.sources import gather
from napari_samri.errors import InputError, InputWarning
from tests.datasets.making import touch


def pairs(root, *stems):
    return touch(root, *(f"{name}_{end}.nii" for name in stems for end in ("img", "seg")))


def called(*sources, **options):
    return [dataset.name for dataset in gather(sources, **options).datasets]


def test_parse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    assert Source.parse("folder", "bids") == Source(Path("folder"), None, "bids")
    assert Source.parse("knees=some/folder") == Source(Path("some/folder"), "knees")
    assert Source.parse("x=y=z") == Source(Path("y=z"), "x")
    assert Source.parse("a=b") == Source(Path("a=b"))


@pytest.mark.parametrize("text", ["=folder", " =folder", "name="])
def test_parse_half_a_name(text):
    with pytest.raises(InputError, match="expected PATH or NAME=PATH"):
        Source.parse(text)


def test_names_of_data_sets(tmp_path):
    one, two = pairs(tmp_path / "1" / "knees", "a"), pairs(tmp_path / "2" / "knees", "b")
    assert called(Source(one)) == ["knees"]
    assert called(Source(one), Source(two), Source(two)) == ["knees", "knees-2", "knees-3"]
    assert called(Source(one, "x"), Source(two)) == ["x", "knees"]
    with pytest.raises(InputError, match=r"already a data set called x.*NAME=PATH"):
        called(Source(one, "x"), Source(two, "x"))


def test_a_relative_source_has_its_folders_name(tmp_path, monkeypatch):
    monkeypatch.chdir(pairs(tmp_path / "knees", "a"))
    (dataset,) = gather([Source(Path())]).datasets
    assert (dataset.name, dataset.root) == ("knees", str(tmp_path / "knees"))


def test_data_sets_in_a_table(tmp_path):
    text = "image,labels,dataset\na,b,hips\nc,d,\ne,f,hips\n"
    (tmp_path / "list.csv").write_text(text)
    source = Source(tmp_path / "list.csv")
    assert called(source) == ["hips", tmp_path.name]
    assert called(Source(source.path, "all")) == ["all-hips", "all"]
    with pytest.raises(InputError, match="already a data set called hips"):
        called(source, source)


def test_two_folders(tmp_path):
    touch(tmp_path, "i/a.nii", "l/a.nii")
    found = gather([Source(tmp_path / "i", labels=tmp_path / "l")])
    assert found.datasets[0].layout == "folders"
    assert found.datasets[0].root == str(tmp_path)
    assert [(entry.image, entry.labels) for entry in found.entries] == [("i/a.nii", "l/a.nii")]


def test_a_layout_can_be_forced(tmp_path):
    touch(tmp_path, "images/a_img.nii", "labels/a_seg.nii", "b_img.nii", "b_seg.nii")
    with pytest.warns(InputWarning, match="could also be pairs"):
        assert [e.image for e in gather([Source(tmp_path)]).entries] == ["images/a_img.nii"]
    forced = gather([Source(tmp_path, layout="pairs")])
    assert [entry.image for entry in forced.entries] == ["b_img.nii"]
    assert forced.datasets[0].layout == "pairs"


def test_the_home_of_nobody(tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        gather([Source.parse("~nobody-is-called-so/x")])


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        gather([Source(tmp_path / "nothing", layout="pairs")])


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), ["a_t1", "a_t2"]),
        (["^([a-z])_"], ["a", "a"]),
        (["^[a-z]_"], ["a_", "a_"]),
        (["t1", "a"], ["t1", "a"]),
        (["(x)?a"], ["a", "a"]),
    ],
)
def test_patients(tmp_path, patterns, expected):
    pairs(tmp_path, "a_t1", "a_t2")
    found = gather([Source(tmp_path)], patterns)
    assert [entry.patient for entry in found.entries] == expected


def test_patients_that_no_expression_tells(tmp_path):
    pairs(tmp_path, "a1", "b1")
    found = gather([Source(tmp_path, "set")], ["^a"])
    assert len(found.entries) == 1
    (problem,) = found.problems
    assert problem.startswith("set: b1_img.nii: no pattern for patients matches")


def test_patients_of_a_table_stay(tmp_path):
    (tmp_path / "list.csv").write_text("image,labels,patient\na1,b,Anna\na2,b,\n")
    found = gather([Source(tmp_path / "list.csv")], ["^a"])
    assert [entry.patient for entry in found.entries] == ["Anna", "a"]


def test_expressions_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no regular expression"):
        gather([Source(tmp_path)], ["("])


def test_zero_shot(tmp_path):
    one, two = pairs(tmp_path / "x", "a"), pairs(tmp_path / "y", "b")
    found = gather([Source(one), Source(two)], zero_shot=["y"])
    assert [dataset.zero_shot for dataset in found.datasets] == [False, True]
    with pytest.raises(InputError, match=r"zero-shot z: there is no such data set.*x, y"):
        gather([Source(one), Source(two)], zero_shot=["z"])


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")
@pytest.mark.parametrize("name", [b"\xff", b"a\\..\\..\\b", b"c:d"])
def test_names_that_a_manifest_cannot_hold(tmp_path, name):
    """They are told now, rather than when the manifest is read."""
    pairs(tmp_path, "good", os.fsdecode(name))
    found = gather([Source(tmp_path)])
    assert [entry.image for entry in found.entries] == ["good_img.nii"]
    assert len(found.problems) == 1


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")
def test_a_root_that_is_no_unicode(tmp_path):
    with pytest.raises(InputError, match="is not Unicode"):
        gather([Source(pairs(tmp_path / os.fsdecode(b"\xff"), "a"))])

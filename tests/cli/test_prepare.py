"""``napari-samri prepare``: exit codes, what is written, what is said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samri.cli import main
from napari_samri.datasets import read_manifest, root_of
from tests.datasets.making import boxes, make_pairs, noise, write

PEOPLE = 30  # enough for all splits


@pytest.fixture
def folder(tmp_path):
    return make_pairs(tmp_path / "set", PEOPLE)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "m.json"


def run(*arguments):
    """Return the exit code, whether the parser or the work gave it."""
    try:
        return main(["prepare", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code


def spoil(folder):
    (folder / "p3_seg.nii.gz").write_bytes(b"")
    (folder / "p4_seg.nii.gz").unlink()


def test_a_clean_folder(folder, out, capsys):
    assert run(folder, "--out", out) == 0
    manifest = read_manifest(out)
    assert len(manifest.studies) == PEOPLE
    assert {study.split for study in manifest.studies} == {"train", "validation", "test"}
    said = capsys.readouterr()
    head, *rows = said.out.splitlines()
    assert head.split() == ["data", "set", "split", "studies", "patients", "slices", "regions"]
    *splits, left_out, title, columns, reading = rows
    counts = [list(map(int, row.split()[2:])) for row in splits]
    assert [sum(column) for column in zip(*counts, strict=True)] == [30, 30, 90, 90]
    assert left_out == "left out: 30 slices without labels"
    assert title == "how patients were read from names:"
    assert columns.split("  ")[0] == "data set"
    assert reading.split() == ["set", "name", "-", "30", "30", "p0"]
    assert said.err == f"napari-samri: wrote {out}: 90 slices of 30 studies\n"


def test_the_table_of_names(tmp_path, out, capsys):
    """A row for each way in which names were read; ``--patient`` is the pattern's short name."""
    for number in range(4):
        for end in ("frame01", "frame12"):
            name = f"patient{number:03}_{end}"
            write(
                tmp_path / "set" / f"{name}_img.nii", noise(10 * number + len(end) + int(end[-1]))
            )
            write(tmp_path / "set" / f"{name}_seg.nii", boxes())
    assert run(tmp_path / "set", "--out", out) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert " ".join(row.split()) == "set name frame 8 4 patient000_frame01 -> patient000"
    for option in ("--patient-pattern", "--patient"):
        assert run(tmp_path / "set", "--out", out, "--force", option, "^patient00([01])_") == 3
        said = capsys.readouterr()
        assert "set pattern - 4 2 patient000_frame01 -> 0" in " ".join(said.out.split())
        assert said.err.count("no pattern for patients matches") == 4


def test_a_channel(tmp_path, out, capsys):
    write(tmp_path / "set" / "a_img.nii", np.stack([noise(1), noise(2)], axis=-1))
    write(tmp_path / "set" / "a_seg.nii", boxes())
    assert run(tmp_path / "set", "--out", out) == 2
    assert "Choose the channel" in capsys.readouterr().err
    assert run(tmp_path / "set", "--out", out, "--channel", 1) == 0
    assert [study.channel for study in read_manifest(out).studies] == [1]


def test_problems_end_in_code_3(folder, out, capsys):
    spoil(folder)
    assert run(folder, "--out", out) == 3
    manifest = read_manifest(out)
    assert len(manifest.studies) == PEOPLE - 2
    said = capsys.readouterr().err
    for problem in manifest.problems:
        assert f"napari-samri: problem: {problem}\n" in said
    assert len(manifest.problems) == 2


def test_strict_writes_nothing(folder, out, capsys):
    spoil(folder)
    assert run(folder, "--out", out, "--strict") == 2
    assert not out.exists()
    said = capsys.readouterr().err
    assert said.count("problem: ") == 2
    assert "--strict allows no problems and there are 2" in said
    (folder / "p4_img.nii.gz").unlink()
    (folder / "p3_img.nii.gz").unlink()
    (folder / "p3_seg.nii.gz").unlink()
    assert run(folder, "--out", out, "--strict") == 0


def test_nothing_left_writes_nothing(tmp_path, out, capsys):
    write(tmp_path / "set" / "a_img.nii", noise(0))
    write(tmp_path / "set" / "a_seg.nii", boxes() * 0)
    assert run(tmp_path / "set", "--out", out) == 2
    assert not out.exists()
    assert "the labels are empty" in capsys.readouterr().err


def test_what_is_there_is_kept(folder, out, capsys):
    assert run(folder, "--out", out) == 0
    before = out.read_bytes()
    assert run(folder, "--out", out, "--min-pixels", 20) == 2
    assert "give --force to replace it" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run(folder, "--out", out, "--min-pixels", 20, "--force") == 0
    assert read_manifest(out).rules.min_pixels == 20


def test_force_replaces_manifests_only(folder, capsys):
    other = folder / "dataset.json"
    other.write_text('{"labels": {}}')
    assert run(folder, "--out", other, "--force") == 2
    assert "choose another name" in capsys.readouterr().err
    assert other.read_text() == '{"labels": {}}'


def test_a_failed_run_keeps_the_old_manifest(folder, out):
    assert run(folder, "--out", out) == 0
    before = out.read_bytes()
    spoil(folder)
    assert run(folder, "--out", out, "--force", "--strict") == 2
    assert out.read_bytes() == before


def test_relative_roots(folder, out):
    assert run(folder, "--out", out, "--relative") == 0
    (dataset,) = read_manifest(out).datasets
    assert dataset.root == "set"
    assert root_of(dataset, out) == folder


def test_rules_and_several_sources(tmp_path, folder, out):
    make_pairs(tmp_path / "more", 3, first=100)
    arguments = (folder, f"new={tmp_path / 'more'}", "--zero-shot", "new", "--axis", 1)
    more = ("--min-pixels", 2, "--min-share", 0.5, "--split", "1:1:1", "--seed", 4)
    assert run(*arguments, *more, "--own-patients", "--out", out) == 0
    manifest = read_manifest(out)
    assert [(each.name, each.zero_shot) for each in manifest.datasets] == [
        ("set", False),
        ("new", True),
    ]
    rules = manifest.rules.as_dict()
    assert rules == {
        "min_pixels": 2,
        "min_share": 0.5,
        "axis": 1,
        "train": 1,
        "validation": 1,
        "test": 1,
        "seed": 4,
        "own_patients": True,
    }
    assert {study.axis for study in manifest.studies} == {1}


def test_two_folders_and_patients(tmp_path, out):
    for number in range(3):
        write(tmp_path / "i" / f"s{number}_t1.nii", noise(number))
        write(tmp_path / "l" / f"s{number}_t1_mask.nii", boxes())
    folders = ("--images", tmp_path / "i", "--labels", tmp_path / "l")
    assert run(*folders, "--patient", "/(s.)", "--out", out, "--split", "1:0:0") == 0
    assert [study.patient for study in read_manifest(out).studies] == ["s0", "s1", "s2"]


def test_empty_splits_are_told(tmp_path, out, capsys):
    assert run(make_pairs(tmp_path / "few", 1), "--out", out, "--split", "98:1:1") == 0
    assert "note: no patient is in the split validation, test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no source"),
        (("SET", "--images", "SET"), "--images and --labels belong together"),
        (("SET", "--split", "80:20"), "expected three numbers, as in 80:10:10"),
        (("SET", "--split", "0:0:0"), "expected three shares"),
        (("SET", "--min-pixels", "0"), "the smallest area is 0 pixels"),
        (("SET", "--zero-shot", "x"), "there is no such data set"),
        (("SET", "--patient", "("), "no regular expression"),
        (("SET", "--layout", "nnunet"), "imagesTr: cannot be listed"),
        (("EMPTY",), "no layout of a data set is recognised"),
        (("nowhere",), "there is no such file or folder"),
    ],
)
def test_wrong_usage(tmp_path, out, capsys, arguments, message):
    make_pairs(tmp_path / "set", 1)
    (tmp_path / "empty").mkdir()
    paths = {"SET": tmp_path / "set", "EMPTY": tmp_path / "empty"}
    assert run(*(paths.get(text, text) for text in arguments), "--out", out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", ["m.txt", "no/m.json"])
def test_wrong_out(folder, tmp_path, name, capsys):
    assert run(folder, "--out", tmp_path / name) == 2
    assert "--out" in capsys.readouterr().err

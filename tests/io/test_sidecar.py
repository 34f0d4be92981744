"""The file beside labels: found by their name, whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_samri.codec import any_object, record
from napari_samri.errors import InputError, StoreError
from napari_samri.io.sidecar import FORMAT, MARKS, read_sidecar, sidecar_path, writing_sidecar

if TYPE_CHECKING:
    from pathlib import Path


SCHEMA = record(dict, {}, marks=MARKS)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("a.nii", "a.samri.json"),
        ("a.nii.gz", "a.samri.json"),
        ("A.NII.GZ", "A.samri.json"),
        ("sub-1.ses-2.nii.gz", "sub-1.ses-2.samri.json"),
        ("other", "other.samri.json"),
    ],
)
def test_names(tmp_path: Path, labels: str, expected: str) -> None:
    assert sidecar_path(tmp_path / labels) == tmp_path / expected


def test_there_and_back(tmp_path: Path) -> None:
    labels = tmp_path / "a.nii.gz"
    assert read_sidecar(labels, any_object) is None
    with writing_sidecar(labels, {"labels": ["ä"]}):
        assert read_sidecar(labels, any_object) is None  # not before all is well
    content = read_sidecar(labels, any_object)
    assert content is not None
    assert content["labels"] == ["ä"]
    assert (content["format"], content["version"]) == (FORMAT, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.samri.json"]


def test_what_fails_inside_leaves_the_old_file(tmp_path: Path) -> None:
    labels = tmp_path / "a.nii"
    with writing_sidecar(labels, {"n": 1}):
        pass
    with pytest.raises(ZeroDivisionError), writing_sidecar(labels, {"n": 2}):
        1 / 0  # noqa: B018
    assert read_sidecar(labels, any_object) == {"format": FORMAT, "version": 1, "n": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.samri.json").mkdir()
    with pytest.raises(StoreError), writing_sidecar(tmp_path / "a.nii", {}):
        pass
    with pytest.raises(InputError):
        read_sidecar(tmp_path / "a.nii", SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"format": "other", "version": 1}).encode(),
        json.dumps({"format": FORMAT, "version": 2}).encode(),
        json.dumps({"format": FORMAT}).encode(),
        json.dumps({"format": FORMAT, "version": True}).encode(),
        b'{"format": "napari-samri-session", "version": 1, "version": 1}',
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.samri.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.samri\.json"):
        read_sidecar(tmp_path / "a.nii", SCHEMA)

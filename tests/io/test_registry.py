"""Readers are found by a file's first bytes."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from napari_samri import Volume, load_volume
from napari_samri.errors import InputError
from napari_samri.geometry import Grid
from napari_samri.io import can_read, register_reader, unregister_reader


class ToyReader:
    """Reads a format of its own: a name, then one byte per voxel."""

    format_name = "toys (.toy)"

    def accepts(self, path, head):
        return head.startswith(b"TOY")

    def read(self, path, max_voxels=None):
        content = path.read_bytes()
        array = np.frombuffer(content[3:], np.uint8).reshape(2, 3, 4)
        return Volume.from_stored(array, Grid(array.shape, np.eye(4), path))


@pytest.fixture
def _toys():
    reader = ToyReader()
    register_reader(reader)
    yield
    unregister_reader(reader)


@pytest.mark.usefixtures("_toys")
def test_a_registered_reader_is_asked_first_and_sees_unpacked_bytes(tmp_path):
    path = tmp_path / "a.nii"  # whatever its name
    path.write_bytes(b"TOY" + bytes(range(24)))
    assert load_volume(path).array.size == 24
    with pytest.raises(InputError, match="toys"):
        load_volume(_write(tmp_path / "a.txt", b"something else"))


def test_nifti_is_known_by_its_bytes_under_any_name(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), np.eye(4))
    for name, content in (("a.dat", image.to_bytes()), ("b", gzip.compress(image.to_bytes()))):
        assert load_volume(_write(tmp_path / name, content)).array.shape == (5, 4, 3)


def test_text_paths_and_home_are_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), np.eye(4)).to_filename(tmp_path / "a.nii")
    assert load_volume("~/a.nii").grid.path == tmp_path / "a.nii"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<html>", "web page"),
        (b"version https://git-lfs", "Git LFS"),
        (b"anything", "something else"),
        (b"\x1f\x8b", "damaged gzip"),
    ],
)
def test_an_unknown_file_is_described(tmp_path, content, said):
    with pytest.raises(InputError, match=rf"a\.bin: .*{said}"):
        load_volume(_write(tmp_path / "a.bin", content))


@pytest.mark.parametrize("name", ["missing.nii", "missing/a.nii", "x" * 300 + ".nii", "a\0b.nii"])
def test_a_path_that_cannot_be_opened_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match=r"\.nii"):
        load_volume(tmp_path / name)


def test_a_file_taken_for_a_folder_is_an_input_error(tmp_path):
    _write(tmp_path / "a", b"file")
    with pytest.raises(InputError, match="cannot be read"):
        load_volume(tmp_path / "a" / "b.nii")


def _write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.usefixtures("_toys")
def test_can_read_asks_the_readers(tmp_path):
    assert can_read(_write(tmp_path / "a", b"TOY" + bytes(24)))
    assert can_read(str(_write(tmp_path / "a.nii", b"anything, so that it can be refused")))
    assert can_read(_write(tmp_path / "b.nii.gz", b"\x1f\x8b damaged"))
    assert not can_read(_write(tmp_path / "a.txt", b"something else"))
    assert not can_read(_write(tmp_path / "a.gz", b"\x1f\x8b damaged"))
    assert not can_read(tmp_path)


@pytest.mark.parametrize("name", ["missing.nii", "a\0b.nii", "~nobody-here/a.nii", "x" * 300])
def test_can_read_never_raises(name):
    assert not can_read(name)

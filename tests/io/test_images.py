"""Images out: what is written reads back as the same volume, in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri import load_volume
from napari_samri.errors import InputError, StoreError
from napari_samri.geometry import Grid, Orientation, Volume
from napari_samri.io.images import save_image
from napari_samri.io.phantom import make_phantom
from tests.io.test_labels import random_image

if TYPE_CHECKING:
    from pathlib import Path


def plain(array: np.ndarray, spacing: tuple[float, ...] = (4.0, 0.8, 1.2)) -> Volume:
    """Return the volume of an array that nobody knows the geometry of, as layers give it."""
    if array.ndim == 2:
        grid = Grid(array.shape, np.diag([*spacing[-2:], 1.0, 1.0]))
        return Volume(array, grid, Orientation(axes=(2, 0, 1)))
    grid = Grid((*array.shape[-3:], *array.shape[:-3]), np.diag([*spacing, 1.0]))
    return Volume(array, grid, Orientation())


def same(first: Volume, second: Volume) -> None:
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_allclose(first.spacing_mm, second.spacing_mm, rtol=1e-5)


def test_random_geometries(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        source, copy = tmp_path / "source.nii", tmp_path / "copy.nii.gz"
        random_image(rng, source)
        volume = load_volume(source)
        save_image(copy, volume)
        again = load_volume(copy)
        same(volume, again)
        np.testing.assert_array_equal(volume.affine, again.affine)
        assert b"somebody" not in nib.load(copy).header["descrip"].tobytes()


def test_a_volume_with_a_header_and_no_file(tmp_path: Path) -> None:
    volume, _ = make_phantom()
    save_image(tmp_path / "a.nii.gz", volume)
    same(volume, load_volume(tmp_path / "a.nii.gz"))


@pytest.mark.parametrize("spacing", [(4.0, 0.8, 1.2), (1.0, 1.0, 5.0), (1.0, 7.0, 1.0)])
@pytest.mark.parametrize("shape", [(9, 8), (5, 9, 8), (3, 5, 9, 8)])
def test_plain_arrays_keep_their_order(
    tmp_path: Path, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    """Also where another axis is the one of thick slices."""
    array = np.random.default_rng(0).integers(0, 1000, shape).astype(np.int16)
    volume = plain(array, spacing)
    save_image(tmp_path / "a.nii", volume)
    again = load_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(array, again.array)
    np.testing.assert_allclose(again.spacing_mm[-2:], volume.spacing_mm[-2:])


@pytest.mark.parametrize(
    "dtype", ["bool", "float16", ">i2", ">f4", "int64", "uint64", "uint32", "int8", "float64"]
)
def test_every_real_dtype(tmp_path: Path, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, (5, 9, 8)).astype(dtype)
    save_image(tmp_path / "a.nii", plain(array))
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nii").array, array)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected real numbers"):
        save_image(tmp_path / "a.nii", plain(np.zeros((2, 3, 4), complex)))
    with pytest.raises(InputError, match="expected a name ending in"):
        save_image(tmp_path / "a.png", plain(np.zeros((2, 3, 4))))
    with pytest.raises(StoreError, match="cannot be written"):
        save_image(tmp_path / "nowhere" / "a.nii", plain(np.zeros((2, 3, 4))))
    assert list(tmp_path.iterdir()) == []

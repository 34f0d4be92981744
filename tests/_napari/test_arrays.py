"""Layers whose voxels are no NumPy array: read slice by slice, or refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image

from napari_samri._napari.layer_tasks import layer_pair
from napari_samri._napari.layers import volume_of
from napari_samri._napari.link import SessionLink
from napari_samri.geometry import Plane
from napari_samri.session.scheduler import Scheduler
from tests.session.fakes import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 12, 14)


def as_zarr(folder: Path, array: np.ndarray) -> Any:
    stored = zarr.open(
        str(folder / "a.zarr"), mode="w", shape=SHAPE, dtype=array.dtype, chunks=(1, 6, 7)
    )
    stored[:] = array
    return stored


def as_memmap(folder: Path, array: np.ndarray) -> Any:
    stored = np.memmap(folder / "a.raw", array.dtype, "w+", shape=SHAPE)
    stored[:] = array
    return stored


class DataArray:
    """What is asked of xarray's arrays: they are indexed as others, and hold one in `data`."""

    dims = ("z", "y", "x")

    def __init__(self, data: Any) -> None:
        self.data = data
        self.dtype, self.shape, self.ndim, self.size = data.dtype, data.shape, data.ndim, data.size

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> DataArray:
        return DataArray(self.data[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype)


def as_xarray(_: Path, array: Any) -> Any:
    try:
        from xarray import DataArray as Real
    except ImportError:
        return DataArray(array)
    return Real(array, dims=DataArray.dims)


KINDS = {
    "zarr": as_zarr,
    "memmap": as_memmap,
    "xarray": as_xarray,
    "dask": lambda _, array: da.from_array(array, chunks=(1, 6, 7)),
    "lazy xarray": lambda folder, array: as_xarray(folder, da.from_array(array, chunks=2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_images_and_labels_of_other_arrays(kind: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 400, SHAPE).astype(np.int16)
    (tmp_path / "i").mkdir()
    (tmp_path / "l").mkdir()
    viewer = ViewerModel()
    image = viewer.add_image(KINDS[kind](tmp_path / "i", array), contrast_limits=(0, 400))
    marked = (array > 300).astype(np.uint8)
    labels = viewer.add_labels(KINDS[kind](tmp_path / "l", marked))
    pair = layer_pair(image, labels)
    np.testing.assert_array_equal(pair.image.array, array)
    np.testing.assert_array_equal(pair.labels, marked)
    link = SessionLink(viewer, image, Scheduler(FakeEngine(), volume_of(image), 0), labels)
    for plane in (Plane(0, 2), Plane(1, 7), Plane(2, 13)):
        found = plane.extract(link.session.volume)
        assert type(found) is np.ndarray or kind == "memmap"
        np.testing.assert_array_equal(found, np.moveaxis(array, plane.axis, 0)[plane.index])
    np.testing.assert_array_equal(link.session.labels, marked)
    link.canvas.labels.data = KINDS[kind](tmp_path / "l", (marked + 1).astype(np.int64))
    np.testing.assert_array_equal(link.session.labels, marked + 1)
    link.close()


def test_lazy_images_are_read_slice_by_slice() -> None:
    read: list[int] = []

    def chunk(block_info: Any = None) -> np.ndarray:
        read.append(block_info[None]["chunk-location"][0])
        return np.zeros((1, 12, 14), np.int16)

    lazy = da.map_blocks(
        chunk, chunks=((1,) * 4, 12, 14), dtype=np.int16, meta=np.zeros((0, 0, 0), np.int16)
    )
    volume = volume_of(Image(lazy, contrast_limits=(0, 1)))
    read.clear()
    Plane(0, 2).extract(volume)
    assert set(read) == {2}

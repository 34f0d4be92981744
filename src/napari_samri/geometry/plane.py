"""Planes: two-dimensional slices of a volume along any of its axes, and slices that are turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from napari_samri.codec import integer
from napari_samri.errors import InputError
from napari_samri.geometry.numbers import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry.volume import Volume

    Array = NDArray[Any]
    FloatArray = NDArray[np.float64]


_Index = Annotated[int, integer(0)]


@dataclass(frozen=True)
class Plane:
    """A slice of a volume in display order, for instance (0, 12): the thirteenth slice.

    The pixel axes (row, column) are the volume's two other axes, in ascending order.

    Parameters
    ----------
    axis : int
        Display axis that the plane is perpendicular to: 0 slice, 1 row, 2 column.
    index : int
        Position along that axis.
    time : int or None
        Time point of a 4D volume.
    """

    axis: Annotated[int, integer(0, 2)]
    index: _Index
    time: _Index | None = None

    def __post_init__(self) -> None:
        for name, what in (
            ("axis", "the axis"),
            ("index", "the slice"),
            ("time", "the time point"),
        ):
            value = getattr(self, name)
            if type(value) is not int and not (name == "time" and value is None):
                object.__setattr__(self, name, whole(value, what))

    @property
    def pixel_axes(self) -> tuple[int, int]:
        """The display axes of the plane's rows and columns."""
        first, second = (axis for axis in range(3) if axis != self.axis)
        return first, second

    def check(self, volume: Volume) -> None:
        """Raise InputError if the plane lies outside a volume."""
        if self.axis not in range(3):
            message = f"the axis is {self.axis}; expected 0, 1 or 2."
            raise InputError(message)
        size = volume.spatial_shape[self.axis]
        if not 0 <= self.index < size:
            message = (
                f"slice {self.index} along axis {self.axis} does not exist; "
                f"expected 0 to {size - 1}."
            )
            raise InputError(message)
        if volume.times is not None and self.time not in range(volume.times):
            message = (
                f"the time point is {self.time}, but the volume has {volume.times}; "
                f"expected 0 to {volume.times - 1}."
            )
            raise InputError(message)

    def shape(self, volume: Volume) -> tuple[int, int]:
        """Return (rows, columns) of this plane in a volume."""
        rows, columns = (volume.spatial_shape[axis] for axis in self.pixel_axes)
        return rows, columns

    def extract(self, volume: Volume) -> Array:
        """Return the plane's pixels (rows, columns): a view, or read from a lazy array.

        Raises
        ------
        InputError
            If the plane lies outside the volume.
        """
        self.check(volume)
        return np.asarray(self.of(volume.array))

    def of(self, array: Array) -> Array:
        """Return the plane's part (rows, columns) of an array in display order: a view.

        Parameters
        ----------
        array : array
            (rows, columns), which is a single slice, (slices, rows, columns), or these at each
            time point. It is taken for granted that the plane lies on it: see `check`.
        """
        block = array[self.time] if array.ndim == 4 else array
        block = block[None] if block.ndim == 2 else block
        return np.moveaxis(block, self.axis, 0)[self.index]

    def pixels_to_voxels(self, points_rc: FloatArray) -> FloatArray:
        """Turn (row, column) points (N, 2) into display voxel indices (N, 3)."""
        points_rc = np.asarray(points_rc, float).reshape(-1, 2)
        return np.insert(points_rc, self.axis, self.index, axis=1)

    def voxels_to_pixels(self, points_voxel: FloatArray) -> FloatArray:
        """Project display voxel indices (N, 3) onto the plane, as (row, column) points (N, 2)."""
        return np.delete(np.asarray(points_voxel, float).reshape(-1, 3), self.axis, axis=1)

    def pixels_to_world(self, points_rc: FloatArray, volume: Volume) -> FloatArray:
        """Turn (row, column) points (N, 2) into RAS+ millimetres (N, 3)."""
        affine = volume.affine
        return self.pixels_to_voxels(points_rc) @ affine[:3, :3].T + affine[:3, 3]

    def world_to_pixels(self, points_mm: FloatArray, volume: Volume) -> FloatArray:
        """Project RAS+ millimetres (N, 3) onto the plane, along the volume's own axis."""
        inverse = np.linalg.inv(volume.affine)
        points_mm = np.asarray(points_mm, float).reshape(-1, 3)
        return self.voxels_to_pixels(points_mm @ inverse[:3, :3].T + inverse[:3, 3])


TURNS = 8
_QUARTERS = 4


def turned(image: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return a slice (H, W) turned by 0 to 3 quarters against the clock, from 4 on flipped first.

    Parameters
    ----------
    image : array (H, W)
    turn : int
        0, which changes nothing, to 7. All of them differ.
    """
    flipped = image[:, ::-1] if turn >= _QUARTERS else image
    return np.ascontiguousarray(np.rot90(flipped, turn % _QUARTERS))

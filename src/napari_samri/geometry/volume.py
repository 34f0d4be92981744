"""A volume in display order that remembers how its file stores it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_samri.errors import GeometryError
from napari_samri.geometry.grid import Grid, Orientation, display_orientation
from napari_samri.geometry.placement import Placement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Volume:
    """An image in display order: (slice, row, column), with time first if there is any.

    Make one with `from_stored`, or read one with `napari_samri.load_volume`. A volume is not
    changed after it was made; its array is read-only.

    Parameters
    ----------
    array : array (S, R, C), (T, S, R, C) or (R, C)
        Voxels, of the file's own dtype where it is not scaled. 2D files give (R, C).
    grid : Grid
        The grid that the file stores.
    orientation : Orientation
        Stored order to display order.
    """

    array: Array
    grid: Grid
    orientation: Orientation

    @classmethod
    def from_stored(cls, stored: Array, grid: Grid, plane_axis: int | None = None) -> Volume:
        """Show an array in stored order (X, Y), (X, Y, Z) or (X, Y, Z, T).

        Axes of size one after the third, such as a time axis with a single point, and the
        slice axis of a 2D file are dropped from the array; `to_stored` puts them back.

        Raises
        ------
        GeometryError
            If the array's shape is not the grid's.
        """
        if stored.shape != grid.shape:
            message = f"the array's shape {stored.shape} is not the grid's {grid.shape}."
            raise GeometryError(message)
        axis = grid.plane_axis if plane_axis is None else plane_axis
        orientation = display_orientation(grid.affine, axis)
        times = grid.shape[3:4] if len(grid.shape) > 3 and grid.shape[3] > 1 else ()
        shown = orientation.to_display(stored.reshape(*grid.spatial_shape, *times))
        if len(grid.shape) == 2:
            shown = shown[0]
        view = shown.view()
        view.flags.writeable = False
        return cls(view, grid, orientation)

    @property
    def affine(self) -> FloatArray:
        """The 4x4 affine from display indices (slice, row, column) to RAS+ millimetres.

        A 2D array is the slice 0 of its volume.
        """
        return self.grid.affine @ self.orientation.matrix(self.grid.spatial_shape)

    @property
    def placement(self) -> Placement:
        """Where the voxels (slice, row, column) lie in RAS+ millimetres."""
        return Placement(self.spatial_shape, self.affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along slice, row and column, in mm."""
        stored = self.grid.spacing_mm
        slice_axis, row_axis, column_axis = self.orientation.axes
        return (stored[slice_axis], stored[row_axis], stored[column_axis])

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns; a 2D image is one slice."""
        stored = self.grid.spatial_shape
        slice_axis, row_axis, column_axis = self.orientation.axes
        return (stored[slice_axis], stored[row_axis], stored[column_axis])

    @property
    def times(self) -> int | None:
        """Number of time points, or None for an image without time."""
        return int(self.array.shape[0]) if self.array.ndim == 4 else None

    def spatial(self, time: int | None = None) -> Array:
        """Return the (slice, row, column) voxels of one time point, which a 4D volume needs."""
        array = self.array
        if array.ndim == 4:
            if time is None:
                message = f"the volume has {self.times} time points; choose one."
                raise GeometryError(message)
            array = array[time]
        return array.reshape(self.spatial_shape)

    def to_stored(self, labels: Array) -> Array:
        """Bring an array of this volume's shape, in display order, into the file's own order.

        Parameters
        ----------
        labels : array
            Of the shape of `array`; of a 4D volume, also of one time point.

        Returns
        -------
        array
            A view of the grid's shape; of its first three axes for one time point of many.

        Raises
        ------
        GeometryError
            If the shape is another one.
        """
        allowed = {self.array.shape, self.array.shape[-3:]}
        if labels.shape not in allowed:
            message = (
                f"labels of shape {labels.shape} do not lie on the volume's grid of shape "
                f"{self.array.shape}, in display order."
            )
            raise GeometryError(message)
        if labels.ndim == 2:
            labels = labels[None]
        stored = self.orientation.to_stored(labels)
        shape = self.grid.shape if labels.ndim == 4 or self.times is None else stored.shape
        return stored.reshape(shape)

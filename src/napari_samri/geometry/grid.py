"""The grid a volume is stored on, and the order of its axes in which people look at it.

*Stored* is the file's own order of axes, as nibabel gives it; *display* is (slice, row, column)
with rows going down and columns going right the radiological way. One is a permutation and
some flips of the other, so going there and back is free and exact.

References
----------
NIfTI-1 coordinate systems: https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from napari_samri.errors import GeometryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]
    FloatArray = NDArray[np.float64]

# Display axes by acquisition plane, keyed by the RAS axis the slices are stacked along:
# the direction in which the index grows, for slice, row and column.
DISPLAY_CODES = {
    0: ("L", "I", "P"),  # sagittal
    1: ("A", "I", "L"),  # coronal
    2: ("I", "P", "L"),  # axial
}
# A voxel this much longer than the others shows the axis that slices were stacked along.
THICK_SLICE_RATIO = 1.5
SMALLEST_SPACING_MM = 1e-6


@dataclass(frozen=True)
class Orientation:
    """A permutation and flips of three axes: stored order to display order.

    Parameters
    ----------
    axes : tuple of int
        Stored axis shown on each display axis (slice, row, column).
    flips : tuple of bool
        Whether each display axis runs against its stored axis.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @property
    def _steps(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))

    def to_display(self, stored: Array) -> Array:
        """Return a view in display order of an array whose first three axes are stored ones.

        Further axes (time) come first in the view: (x, y, z, t) gives (t, slice, row, column).
        """
        rest = tuple(range(3, stored.ndim))
        shown = stored.transpose(*rest, *self.axes)
        return shown[self._steps]

    def to_stored(self, shown: Array) -> Array:
        """Return a view in stored order; the inverse of `to_display`."""
        extra = shown.ndim - 3
        unflipped = shown[self._steps]
        places = [extra + self.axes.index(axis) for axis in range(3)]
        return unflipped.transpose(*places, *range(extra))

    def index_to_display(self, axis: int, index: int, shape: Sequence[int]) -> tuple[int, int]:
        """Turn (stored axis, index) into (display axis, index); `shape` is the stored shape."""
        shown_axis = self.axes.index(axis)
        flipped = self.flips[shown_axis]
        return shown_axis, int(shape[axis]) - 1 - index if flipped else index

    def index_to_stored(self, axis: int, index: int, shape: Sequence[int]) -> tuple[int, int]:
        """Turn (display axis, index) into (stored axis, index); `shape` is the stored shape."""
        stored_axis = self.axes[axis]
        size = int(shape[stored_axis])
        return stored_axis, size - 1 - index if self.flips[axis] else index

    def matrix(self, shape: Sequence[int]) -> FloatArray:
        """Return the 4x4 matrix from display indices to stored indices."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for shown_axis, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[axis, shown_axis] = -1 if flip else 1
            matrix[axis, 3] = int(shape[axis]) - 1 if flip else 0
        return matrix


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid that a file stores its voxels on, and all that is needed to write one like it.

    Parameters
    ----------
    shape : tuple of int
        As stored, time and trailing axes of size one included: labels are written with it.
    affine : float array (4, 4)
        Stored indices to RAS+ millimetres.
    path : pathlib.Path or None
        File or folder the volume was read from.
    header : bytes
        The NIfTI header's bytes, or none for a source of another format.
    plane_axis : int
        Stored axis that the slices are stacked along.
    """

    shape: tuple[int, ...]
    affine: FloatArray
    path: Path | None = None
    header: bytes = b""
    plane_axis: int = 2

    def __post_init__(self) -> None:
        check_affine(self.affine, str(self.path or "array"))

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        """The first three axes; a 2D image has one slice."""
        padded = (*self.shape, 1, 1)[:3]
        return (padded[0], padded[1], padded[2])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along each stored axis, in mm."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return (float(x), float(y), float(z))


def check_affine(affine: FloatArray, name: str) -> None:
    """Raise GeometryError unless a 4x4 affine is finite, of full rank and of sane spacing."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        message = (
            f"{name}: the affine is not a finite 4x4 matrix; repair the header "
            "(for example with nibabel) before using the file."
        )
        raise GeometryError(message)
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if spacing.min() < SMALLEST_SPACING_MM:
        message = (
            f"{name}: the voxel spacing is {', '.join(f'{s:g}' for s in spacing)} mm; expected "
            "three positive numbers. Set the header's pixdim, or its sform or qform."
        )
        raise GeometryError(message)
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        message = (
            f"{name}: the affine is singular (two voxel axes point the same way); "
            "repair the header's sform or qform."
        )
        raise GeometryError(message)


def guess_plane_axis(
    shape: Sequence[int], affine: FloatArray, slice_hint: int | None = None
) -> int:
    """Return the stored axis that slices are stacked along.

    In this order: an axis of size one; the header's own word (`slice_hint`); an axis whose
    spacing is over 1.5 times the others'; else the axis nearest to head-foot, which makes
    the slices axial.
    """
    single = [axis for axis in range(3) if shape[axis] == 1]
    if len(single) == 1:
        return single[0]
    if slice_hint is not None:
        return slice_hint
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    thickest = int(spacing.argmax())
    if spacing[thickest] > THICK_SLICE_RATIO * np.delete(spacing, thickest).max():
        return thickest
    return int(np.flatnonzero(io_orientation(affine)[:, 0] == 2)[0])


def display_orientation(affine: FloatArray, plane_axis: int) -> Orientation:
    """Return how to show a volume whose slices are stacked along a stored axis.

    The slice axis comes first; the others follow in the radiological way for axial,
    coronal or sagittal slices, whichever the (possibly oblique) stack is nearest to.
    """
    stored = io_orientation(affine)
    codes = DISPLAY_CODES[int(stored[plane_axis, 0])]
    transform = ornt_transform(stored, axcodes2ornt(codes))
    axes, flips = [0, 0, 0], [False, False, False]
    for stored_axis, (shown_axis, sign) in enumerate(transform):
        axes[int(shown_axis)] = stored_axis
        flips[int(shown_axis)] = bool(sign < 0)
    return Orientation((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))

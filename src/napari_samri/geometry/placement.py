"""Where the voxels of an array lie, as one value; labels brought from one grid onto another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    Array = NDArray[Any]

# How far a corner of one grid may lie from the other's: writers round what headers say.
TOLERANCE_MM = 0.1
TOLERANCE_VOXELS = 0.25


@dataclass(frozen=True, eq=False)
class Placement:
    """The shape of an array, and the affine from its indices to the space that it lies in.

    For a volume this is its affine, to RAS+ millimetres; for a layer of a viewer it is the
    layer's whole transform: scale, shear, rotation, translation and what comes after these.

    Parameters
    ----------
    shape : tuple of int
        Of n axes.
    affine : float array (n + 1, n + 1)
        Indices to the space; copied, and read-only.

    Raises
    ------
    GeometryError
        If the affine is of another shape, not finite or singular.
    """

    shape: tuple[int, ...]
    affine: FloatArray

    def __post_init__(self) -> None:
        affine = np.array(self.affine, float)
        size = len(self.shape) + 1
        if affine.shape != (size, size) or not np.isfinite(affine).all():
            message = (
                f"the transform of an array of shape {self.shape} is {affine.tolist()}; expected "
                f"a finite matrix of {size} x {size}. Set it again."
            )
            raise GeometryError(message)
        lengths = np.linalg.norm(affine[:-1, :-1], axis=0)
        if not (lengths > 0).all() or abs(np.linalg.det(affine[:-1, :-1] / lengths)) < 1e-6:
            message = (
                f"the transform of an array of shape {self.shape} is singular: its steps are "
                f"{_numbers(lengths)} long; expected steps above 0 that span all axes. Set it "
                "again."
            )
            raise GeometryError(message)
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(length) for length in self.shape))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between voxel centres along each axis."""
        return tuple(np.linalg.norm(self.affine[:-1, :-1], axis=0).tolist())

    @property
    def tolerance(self) -> float:
        """How far a corner of another grid may lie from this one's: 0.1 mm, or 1/4 voxel."""
        return min(TOLERANCE_MM, TOLERANCE_VOXELS * min(self.spacing))

    def at(self, indices: FloatArray) -> FloatArray:
        """Return where indices (N, n) lie, (N, n)."""
        return np.asarray(indices @ self.affine[:-1, :-1].T + self.affine[:-1, -1])

    def apart(self, other: Placement) -> float:
        """Return how far the farthest corner of another array of this shape lies from its own.

        Corners are compared by their indices, so that a flipped array lies elsewhere even in the
        same box. Two affine maps differ the most in a corner.
        """
        last = np.maximum(np.array(self.shape) - 1, 0)
        corners = np.array(list(np.ndindex(*(2,) * len(last))), float) * last
        return float(np.linalg.norm(self.at(corners) - other.at(corners), axis=1).max())

    def is_on(self, other: Placement) -> bool:
        """Tell whether voxels of this array are those of another one, within its tolerance."""
        return self.shape == other.shape and self.apart(other) <= other.tolerance

    def indices_in(self, other: Placement) -> FloatArray:
        """Return the matrix (n + 1, n + 1) from indices of this array to those of another one."""
        return np.asarray(np.linalg.solve(other.affine, self.affine))

    def __str__(self) -> str:
        """Give shape, spacing and corners in numbers."""
        ends = self.at(np.array([np.zeros(len(self.shape)), np.array(self.shape) - 1.0]))
        return (
            f"{' x '.join(map(str, self.shape))} voxels of {_numbers(self.spacing)}, from "
            f"({_numbers(ends[0])}) to ({_numbers(ends[1])})"
        )


def _numbers(values: FloatArray | tuple[float, ...]) -> str:
    # Adding zero makes 0 of -0.
    return ", ".join(f"{round(float(value), 3) + 0.0:g}" for value in values)


# Halfway between two voxels, rounding must not decide from one voxel to the next.
_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class Resampled:
    """Labels on another grid.

    Parameters
    ----------
    labels : integer array
        Of the new grid's shape and the old dtype.
    before, after : int
        Labelled voxels on the old and on the new grid.
    outside : int
        Labelled voxels of the old grid whose centres lie off the new one.
    lost : tuple of int
        Labels of which nothing is left.
    """

    labels: Array
    before: int
    after: int
    outside: int
    lost: tuple[int, ...]

    def __str__(self) -> str:
        """Describe what became of the labels."""
        text = f"{self.before:,} labelled voxels became {self.after:,} (nearest neighbour)"
        if self.outside:
            text += f"; {self.outside:,} lay outside the image and were left out"
        if self.lost:
            text += f"; nothing is left of label {', '.join(map(str, self.lost))}"
        return f"{text}."


def resample_nearest(labels: Array, source: Placement, target: Placement) -> Resampled:
    """Return labels on another grid in the same space: each voxel is its nearest one's.

    Parameters
    ----------
    labels : integer array
        Of the source's shape; 0 is background, also outside of them.
    source, target : Placement
        Of as many axes.

    Returns
    -------
    Resampled
    """
    result = np.zeros(target.shape, labels.dtype)
    matrix = target.indices_in(source)
    pixels = np.indices(target.shape[-2:]).reshape(2, -1)
    for slices in np.ndindex(*target.shape[:-2]):  # one by one, for the memory
        hidden = np.broadcast_to(np.array(slices, np.intp)[:, None], (len(slices), pixels.shape[1]))
        places = _nearest(matrix, np.concatenate([hidden, pixels]))
        inside = _inside(places, source.shape)
        result[slices].reshape(-1)[inside] = labels[tuple(places[:, inside])]
    marked = np.stack(np.nonzero(labels))
    there = _inside(_nearest(source.indices_in(target), marked), target.shape)
    lost = np.setdiff1d(np.unique(labels), np.unique(result))
    return Resampled(
        labels=result,
        before=marked.shape[1],
        after=int(np.count_nonzero(result)),
        outside=int(np.count_nonzero(~there)),
        lost=tuple(int(label) for label in lost if label),
    )


def _nearest(matrix: NDArray[np.float64], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the voxels (n, N) nearest to where a matrix takes indices (n, N)."""
    places = matrix[:-1, :-1] @ indices + matrix[:-1, -1:]
    return np.floor(np.round(places, _DECIMALS) + 0.5).astype(np.intp)


def _inside(places: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    sizes = np.array(shape)[:, None]
    return np.asarray(((places >= 0) & (places < sizes)).all(axis=0))

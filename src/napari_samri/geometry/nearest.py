"""Labels brought onto another grid by nearest neighbours, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry.placement import Placement

    Array = NDArray[Any]

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
        """Say what became of the labels."""
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

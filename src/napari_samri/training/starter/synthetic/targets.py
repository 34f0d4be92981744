"""Objects to segment, drawn from a label map: parts, unions, whole classes, filled outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected_components

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]

SMALLEST_PX = 12
AREA_FRACTIONS = (0.0003, 0.6)
COMPOUND_SHARE = 0.45


def sample_targets(
    rng: Generator, labels: NDArray[np.int16], count: int, difficulty: float = 1.0
) -> BoolArray | None:
    """Draw objects from a label map (S, S); negative labels lie outside the slice.

    Parameters
    ----------
    rng : numpy.random.Generator
    labels : int16 array (S, S)
    count : int
    difficulty : float
        0 for single regions that are not small; 1 for all sizes, unions, fillings and pieces.

    Returns
    -------
    targets : bool array (count, S, S), or None
        None if the map holds no object of a usable size.
    """
    parts = np.asarray(connected_components(labels + 1, background=0, connectivity=1), np.int32)
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    usable = np.flatnonzero((areas >= SMALLEST_PX) & (areas <= AREA_FRACTIONS[1] * labels.size))
    if usable.size == 0:
        return None
    log_areas = np.log(areas[usable])
    targets = np.empty((count, *labels.shape), bool)
    for index in range(count):
        smallest = AREA_FRACTIONS[0] * 10 ** (1 - difficulty)
        wanted = rng.uniform(*np.log(np.multiply((smallest, AREA_FRACTIONS[1]), labels.size)))
        distance = np.abs(log_areas - wanted) + rng.uniform(0, 0.5, usable.size)
        mask = parts == usable[distance.argmin()]
        if rng.random() < COMPOUND_SHARE * difficulty:
            mask = _compound(rng, labels, parts, mask)
        targets[index] = mask
    return targets


def _compound(
    rng: Generator, labels: NDArray[np.int16], parts: NDArray[np.int32], mask: BoolArray
) -> BoolArray:
    """Return something that is not just one region, made from one."""
    kind = rng.random()
    if kind < 0.3:
        return _whole_class(labels, parts, mask)
    if kind < 0.55:
        return _with_neighbours(rng, parts, mask)
    if kind < 0.9:
        return np.asarray(ndimage.binary_fill_holes(mask), bool)
    return _piece(rng, mask)


def _whole_class(labels: NDArray[np.int16], parts: NDArray[np.int32], mask: BoolArray) -> BoolArray:
    """Join an object with its like, as for paired organs; many scattered parts are no object."""
    members = labels == labels[mask][0]
    return members if np.unique(parts[members]).size <= 4 else mask


def _with_neighbours(rng: Generator, parts: NDArray[np.int32], mask: BoolArray) -> BoolArray:
    ring = ndimage.binary_dilation(mask, iterations=2) & ~mask
    neighbours = np.setdiff1d(parts[ring], [0])
    if neighbours.size == 0:
        return mask
    chosen = rng.choice(neighbours, min(neighbours.size, int(rng.integers(1, 4))), False)
    union = mask | np.isin(parts, chosen)
    return union if union.mean() < AREA_FRACTIONS[1] else mask


def _piece(rng: Generator, mask: BoolArray) -> BoolArray:
    """Cut an object by a straight line: an edge that the image does not show."""
    rows, cols = np.nonzero(mask)
    angle = rng.uniform(0, 2 * np.pi)
    along = rows * np.sin(angle) + cols * np.cos(angle)
    keep = along <= np.quantile(along, rng.uniform(0.4, 0.8))
    if keep.sum() < SMALLEST_PX:
        return mask
    piece = np.zeros_like(mask)
    piece[rows[keep], cols[keep]] = True
    return piece

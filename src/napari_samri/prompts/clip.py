"""The parts of drawn shapes that lie on a slice, in pixels (x, y).

A slice of (H, W) pixels is seen from -0.5 to W - 0.5 and H - 0.5: half a pixel around the centres.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import InputError
from napari_samri.prompts.prompt import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]


def clip_box(box: Box, slice_shape: tuple[int, int]) -> Box:
    """Return the part of a box that lies on a slice (H, W), from first to last pixel.

    A side of which the slice's border leaves no more than half a pixel becomes that pixel.

    Raises
    ------
    InputError
        If the box has no size, or lies wholly outside the slice.
    """
    height, width = slice_shape
    name = f"the box ({box.x0:g}, {box.y0:g}) to ({box.x1:g}, {box.y1:g})"
    if not (box.x1 > box.x0 and box.y1 > box.y0):
        message = f"{name} has no size; expected x0 < x1 and y0 < y1. Draw it again."
        raise InputError(message)
    if box.x1 < -0.5 or box.y1 < -0.5 or box.x0 > width - 0.5 or box.y0 > height - 0.5:
        raise InputError(outside(name, slice_shape))
    x0, x1 = with_length(*np.clip([box.x0, box.x1], 0, width - 1))
    y0, y1 = with_length(*np.clip([box.y0, box.y1], 0, height - 1))
    return Box(x0, y0, x1, y1)


def with_length(first: float, last: float) -> tuple[float, float]:
    """Return a side of a box; one of no length is widened to the pixel around it."""
    half = 0.0 if last > first else 0.5
    return float(first) - half, float(last) + half


def clip_path(points_xy: Points, slice_shape: tuple[int, int]) -> list[Points]:
    """Return the pieces (M, 2) of a path (N, 2) that lie on a slice (H, W), in its order.

    A path that stays on the slice is its only piece; one wholly outside has none.
    """
    low, high = np.full(2, -0.5), np.array(slice_shape[::-1], float) - 0.5
    if ((points_xy >= low) & (points_xy <= high)).all():
        return [points_xy]
    pieces: list[list[Points]] = []
    for start, end in pairwise(points_xy):
        share = _share_inside(start, end - start, low, high)
        if share is None:
            continue
        first, last = (start + part * (end - start) if part < 1 else end for part in share)
        if share[0] > 0 or not pieces or not np.array_equal(pieces[-1][-1], first):
            pieces.append([first])
        pieces[-1].append(last)
    return [np.clip(piece, low, high) for piece in pieces]


def _share_inside(
    start: Points, step: Points, low: Points, high: Points
) -> tuple[float, float] | None:
    """Return from where to where, 0 to 1, a segment lies between two corners, or None.

    References
    ----------
    Liang and Barsky, "A new concept and method for line clipping", ACM Transactions on Graphics
    3(1), 1984, https://doi.org/10.1145/357332.357333
    """
    first, last = 0.0, 1.0
    # Lists, for a step too small to divide by is infinite shares away, and no reason to warn.
    sides = (array.tolist() for array in (start, step, low, high))
    for offset, change, least, most in zip(*sides, strict=True):
        if change == 0:
            if not least <= offset <= most:
                return None
            continue
        enter, leave = sorted(((least - offset) / change, (most - offset) / change))
        first, last = max(first, enter), min(last, leave)
    return (first, last) if first <= last else None


def outside(name: str, slice_shape: tuple[int, int]) -> str:
    """Return what to say of a shape that lies wholly outside a slice (H, W)."""
    height, width = slice_shape
    return (
        f"{name} lies outside the slice; expected x in 0 to {width - 1} and y in 0 to "
        f"{height - 1}. Draw it on the image."
    )

"""Trivial answers to a box: what a model has to beat.

An ellipse has a Dice of 0.88 with a tight box around it, so that a Dice alone says little. Boxes
are (x0, y0, x1, y1) in pixels, both ends inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    Box = Sequence[float] | NDArray[np.float64]


def filled_box(pixels: NDArray[Any], box_xyxy: Box) -> BoolArray:
    """Return the pixels of a slice (rows, columns) that lie in a box, as a mask."""
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    x0, y0, x1, y1 = box_xyxy
    return np.asarray((columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1))


def inscribed_ellipse(pixels: NDArray[Any], box_xyxy: Box) -> BoolArray:
    """Return the pixels of a slice (rows, columns) that lie in the ellipse in a box, as a mask.

    The ellipse touches the outer edges of the box's first and last pixels; a pixel lies where its
    centre does.
    """
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    x0, y0, x1, y1 = box_xyxy
    across = (columns - (x0 + x1) / 2) / ((x1 - x0 + 1) / 2)
    down = (rows - (y0 + y1) / 2) / ((y1 - y0 + 1) / 2)
    return np.asarray(across**2 + down**2 <= 1)


def otsu_in_box(pixels: NDArray[Any], box_xyxy: Box) -> BoolArray:
    """Return the brighter or the darker pixels of a box, separated by Otsu's threshold, as a mask.

    The object is the class that is more frequent in the inscribed ellipse than in the corners; in
    a box of one grey value, it is all of the box.

    References
    ----------
    Otsu, A threshold selection method from gray-level histograms, 1979,
    https://doi.org/10.1109/TSMC.1979.4310076
    """
    from skimage.filters import threshold_otsu

    inside, ellipse = filled_box(pixels, box_xyxy), inscribed_ellipse(pixels, box_xyxy)
    values = pixels[inside]
    if values.min() == values.max():
        return inside
    bright = pixels > threshold_otsu(values)
    corners = inside & ~ellipse
    share = bright[corners].mean() if corners.any() else 0.0
    chosen = bright if bright[ellipse].mean() >= share else ~bright
    return np.asarray(chosen & inside)


BASELINES: dict[str, Callable[[NDArray[Any], Box], BoolArray]] = {
    "filled box": filled_box,
    "ellipse": inscribed_ellipse,
    "Otsu in box": otsu_in_box,
}

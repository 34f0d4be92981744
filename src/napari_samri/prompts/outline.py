"""Boxes and masks from drawn shapes, in pixels (x, y) of a slice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError
from napari_samri.prompts.drawing import check_path
from napari_samri.prompts.prompt import Box

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_samri.prompts.drawing import Pair

    BoolArray = NDArray[np.bool_]

AXIS_RATIO = 0.75
ELLIPSE_VERTICES = 64


def clip_box(box: Box, slice_shape: tuple[int, int]) -> Box:
    """Return the part of a box that lies on a slice (H, W), from first to last pixel.

    A side that the border leaves without length becomes the one pixel that is left of it.

    Raises
    ------
    InputError
        If the box has no size, or lies wholly outside the slice.
    """
    height, width = slice_shape
    name = f"the box ({box.x0:g}, {box.y0:g}) to ({box.x1:g}, {box.y1:g})"
    if not (box.x1 > box.x0 and box.y1 > box.y0):
        message = f"{name} has no size; expected x0 < x1 and y0 < y1. Draw it anew."
        raise InputError(message)
    if box.x1 < -0.5 or box.y1 < -0.5 or box.x0 > width - 0.5 or box.y0 > height - 0.5:
        message = (
            f"{name} lies outside the slice; expected x in 0 to {width - 1} and y in 0 to "
            f"{height - 1}. Draw it on the image."
        )
        raise InputError(message)
    x0, x1 = _with_length(*np.clip([box.x0, box.x1], 0, width - 1))
    y0, y1 = _with_length(*np.clip([box.y0, box.y1], 0, height - 1))
    return Box(x0, y0, x1, y1)


def _with_length(first: float, last: float) -> tuple[float, float]:
    """Widen a side of no length to the pixel around it."""
    half = 0.0 if last > first else 0.5
    return float(first) - half, float(last) + half


def rectangle_to_box(corners_xy: ArrayLike) -> Box:
    """Return the upright box around a rectangle's corners (4, 2), or two opposite ones (2, 2).

    It is not clipped to a slice; `PromptSet.resolve` does that.

    Raises
    ------
    InputError
        If the corners are not of one of these shapes, or not finite.
    """
    corners = check_path(corners_xy, "rectangle", at_least=2)
    if len(corners) not in {2, 4}:
        message = f"the rectangle has {len(corners)} corners; expected four, or two opposite ones."
        raise InputError(message)
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return Box(float(x0), float(y0), float(x1), float(y1))


def line_to_box(
    start_xy: Pair,
    end_xy: Pair,
    slice_shape: tuple[int, int],
    *,
    axis_ratio: float = AXIS_RATIO,
    pixel_size_xy: tuple[float, float] = (1.0, 1.0),
) -> Box:
    """Return the box of an ellipse with a given longest diameter, clipped to a slice (H, W)."""
    (dx, dy), (sx, sy) = np.subtract(end_xy, start_xy), pixel_size_xy
    x, y = np.add(start_xy, end_xy) / 2
    half_x = math.hypot(dx, axis_ratio * dy * sy / sx) / 2
    half_y = math.hypot(dy, axis_ratio * dx * sx / sy) / 2
    box = Box(float(x - half_x), float(y - half_y), float(x + half_x), float(y + half_y))
    return clip_box(box, slice_shape)


def ellipse_outline(corners_xy: ArrayLike) -> NDArray[np.float64]:
    """Return an outline (N, 2) of the ellipse inside a rectangle, upright or not.

    Parameters
    ----------
    corners_xy : array (4, 2)
        The rectangle's corners, one after the other.

    Raises
    ------
    InputError
        If the corners are not of this shape, or not finite.
    """
    corners = check_path(corners_xy, "ellipse", at_least=4)
    if len(corners) != 4:
        message = f"the ellipse has {len(corners)} corners; expected the four of its rectangle."
        raise InputError(message)
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)[:, None]
    along, across = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    return corners.mean(axis=0) + np.cos(angle) * along + np.sin(angle) * across


def polygon_to_mask(vertices_xy: ArrayLike, slice_shape: tuple[int, int]) -> BoolArray:
    """Return the pixels of a slice (H, W) whose centres lie in a polygon or on its border.

    Parameters
    ----------
    vertices_xy : array (N, 2)
        At least three; the last is joined to the first. Where the polygon crosses itself, the
        even-odd rule tells inside from outside.
    slice_shape : tuple of int
        (H, W).

    Returns
    -------
    bool array (H, W)
        Empty if the polygon is too thin for any centre, or lies outside.

    Raises
    ------
    InputError
        If the vertices are fewer than three, or not finite.
    """
    from skimage.draw import polygon

    vertices = check_path(vertices_xy, "outline", at_least=3)
    mask = np.zeros(slice_shape, bool)
    mask[polygon(vertices[:, 1], vertices[:, 0], slice_shape)] = True
    return mask


def mask_to_box(mask: NDArray[Any]) -> Box:
    """Return the box from the first to the last pixel inside a mask (H, W).

    A mask of one row or column has a box as wide as its pixels, for a box needs a size.

    Raises
    ------
    InputError
        If the mask is empty.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        message = "the mask is empty; expected at least one pixel inside."
        raise InputError(message)
    x0, x1 = _with_length(columns[0], columns[-1])
    y0, y1 = _with_length(rows[0], rows[-1])
    return Box(x0, y0, x1, y1)

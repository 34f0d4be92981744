"""Boxes and masks from drawn shapes, in pixels (x, y) of a slice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError
from napari_samri.prompts.clip import clip_box, clip_path, outside, with_length
from napari_samri.prompts.drawing import check_path
from napari_samri.prompts.prompt import Box

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_samri.prompts.drawing import Pair

    BoolArray = NDArray[np.bool_]
    FloatArray = NDArray[np.float64]

AXIS_RATIO = math.sqrt(0.5)
ELLIPSE_VERTICES = 64


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
    """Return the box of an object whose longest diameter is given, clipped to a slice (H, W).

    The object is taken for an ellipse: a diameter alone does not tell how wide an object is, and
    the box of the line itself would have no size along an axis. We assume that the shortest
    diameter is sqrt(1/2) = 0.71 of the longest. That is the middle, by factors, of 0.5 to 1, the
    range that Levine et al. call reasonable for some classes of tumours: whatever the ratio in
    this range, a box along an axis overlaps with the true one by an IoU of at least 0.71. No
    other ratio promises as much.

    Parameters
    ----------
    start_xy, end_xy : tuple of float
        Ends of the diameter in pixels (x, y) of the slice.
    slice_shape : tuple of int
        (H, W).
    axis_ratio : float
        Shortest by longest diameter, above 0 and up to 1 (a circle).
    pixel_size_xy : tuple of float
        Width and height of a pixel in mm, for the shortest diameter is meant in mm; only their
        ratio counts.

    Raises
    ------
    InputError
        If the line has no length or lies outside the slice, or the numbers make no sense.

    References
    ----------
    Levine, Galloway, Peskin, Heussel and Chen, "Tumor volume measurement errors of RECIST studied
    with ellipsoids", Medical Physics, 2011.
    """
    _check_ellipse(axis_ratio, pixel_size_xy)
    ends = check_path([start_xy, end_xy], "line", at_least=2)
    (dx, dy), (x, y) = ends[1] - ends[0], ends.mean(axis=0)
    name = f"the line ({ends[0, 0]:g}, {ends[0, 1]:g}) to ({ends[1, 0]:g}, {ends[1, 1]:g})"
    if not (dx or dy):
        message = f"{name} has no length; expected the longest diameter of an object."
        raise InputError(message)
    if not clip_path(ends, slice_shape):
        raise InputError(outside(name, slice_shape))
    aspect = pixel_size_xy[1] / pixel_size_xy[0]
    half_x = math.hypot(dx, axis_ratio * dy * aspect) / 2
    half_y = math.hypot(dy, axis_ratio * dx / aspect) / 2
    return clip_box(
        Box(*(float(v) for v in (x - half_x, y - half_y, x + half_x, y + half_y))), slice_shape
    )


def _check_ellipse(axis_ratio: float, pixel_size_xy: tuple[float, float]) -> None:
    if not 0 < axis_ratio <= 1:
        message = f"axis_ratio is {axis_ratio}; expected above 0 and at most 1."
        raise InputError(message)
    if not all(0 < size < math.inf for size in pixel_size_xy):
        message = f"pixel_size_xy is {pixel_size_xy}; expected two sizes in mm, above 0."
        raise InputError(message)


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
    vertices = check_path(vertices_xy, "outline", at_least=3)
    rows = np.arange(slice_shape[0])
    # A row through a vertex is crossed as if it lay a little below, and as if a little above it.
    return _filled(vertices, vertices[:, 1:] <= rows, slice_shape) | _filled(
        vertices, vertices[:, 1:] < rows, slice_shape
    )


def _filled(vertices_xy: FloatArray, above: BoolArray, slice_shape: tuple[int, int]) -> BoolArray:
    """Fill each row of a slice (H, W) from its first to its second crossing, and so on.

    Which vertices (N, 2) lie above which rows, (N, H), tells the edges that cross a row.
    """
    edge, row = np.nonzero(above != np.roll(above, -1, axis=0))
    (x0, y0), (x1, y1) = vertices_xy[edge].T, np.roll(vertices_xy, -1, axis=0)[edge].T
    x = x0 + (row - y0) / (y1 - y0) * (x1 - x0)
    order = np.lexsort((x, row))
    x, row = x[order], row[order]
    height, width = slice_shape
    steps = np.zeros((height, width + 1), np.int32)
    np.add.at(steps, (row[::2], _column(np.ceil(x[::2]), width)), 1)
    np.add.at(steps, (row[1::2], _column(np.floor(x[1::2]) + 1, width)), -1)
    return np.cumsum(steps, axis=1)[:, :width] > 0


def _column(x: FloatArray, width: int) -> NDArray[np.intp]:
    return np.clip(x, 0, width).astype(np.intp)


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
    x0, x1 = with_length(columns[0], columns[-1])
    y0, y1 = with_length(rows[0], rows[-1])
    return Box(x0, y0, x1, y1)

"""Shapes and points layers as prompts, and back.

Each item carries two features: ``sign`` (positive or negative), and ``axis``, the display axis
of the plane on which it was drawn: a point lies on three planes, but was meant for one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from napari_samri._napari.planes import plane_of, to_coordinates, to_pixels
from napari_samri.prompts import (
    Box,
    Line,
    Outline,
    Point,
    PromptSet,
    Stroke,
    ellipse_outline,
    rectangle_to_box,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Points, Shapes

    from napari_samri.geometry import Plane

POSITIVE, NEGATIVE = "positive", "negative"
SIGN_COLOURS = {POSITIVE: "#00c853", NEGATIVE: "#ff1744"}


def set_new_items(layer: Shapes | Points, sign: str, axis: int) -> None:
    """Choose sign and axis of the items that are drawn next."""
    layer.selected_data = set()  # else what is selected would change too
    layer.feature_defaults = {"sign": sign, "axis": axis}
    if hasattr(layer, "current_edge_color"):
        layer.current_edge_color = SIGN_COLOURS[sign]
    else:
        layer.current_face_color = SIGN_COLOURS[sign]


def read_drawn(shapes: Shapes, points: Points) -> dict[Plane, PromptSet]:
    """Return all that is drawn on both layers, by plane."""
    found: dict[Plane, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for vertices, kind, sign, axis in zip(
        shapes.data, shapes.shape_type, *_features(shapes), strict=True
    ):
        plane = plane_of(vertices, axis)
        name, item = _shape(kind, to_pixels(vertices, plane), sign == POSITIVE)
        found[plane][name].append(item)
    for point, sign, axis in zip(points.data, *_features(points), strict=True):
        plane = plane_of(point[None], axis)
        x, y = to_pixels(point[None], plane)[0]
        found[plane]["points"].append(Point(float(x), float(y), sign == POSITIVE))
    return {
        plane: PromptSet(**{name: tuple(items) for name, items in parts.items()})
        for plane, parts in found.items()
    }


def write_drawn(shapes: Shapes, points: Points, drawn: Mapping[Plane, PromptSet]) -> None:
    """Make both layers show exactly these prompts."""
    mode = shapes.mode
    _write_shapes(shapes, drawn)
    _write_points(points, drawn)
    if shapes.mode != mode:
        shapes.mode = mode


def _write_shapes(layer: Shapes, drawn: Mapping[Plane, PromptSet]) -> None:
    items = [
        (to_coordinates(pixels, plane, layer.ndim), kind, sign, plane.axis)
        for plane, prompts in drawn.items()
        for pixels, kind, sign in _shapes(prompts)
    ]
    defaults = layer.feature_defaults.iloc[0].to_dict()
    _empty(layer)
    for vertices, kind, sign, axis in items:
        set_new_items(layer, sign, axis)
        layer.add([vertices], shape_type=kind)
        layer.selected_data = set()
    set_new_items(layer, str(defaults["sign"]), int(defaults["axis"]))


def _write_points(layer: Points, drawn: Mapping[Plane, PromptSet]) -> None:
    items = [
        (to_coordinates([[point.x, point.y]], plane, layer.ndim), point.positive, plane.axis)
        for plane, prompts in drawn.items()
        for point in prompts.points
    ]
    defaults = layer.feature_defaults.iloc[0].to_dict()
    _empty(layer)
    for coordinates, positive, axis in items:
        set_new_items(layer, POSITIVE if positive else NEGATIVE, axis)
        layer.add(coordinates)
        layer.selected_data = set()
    set_new_items(layer, str(defaults["sign"]), int(defaults["axis"]))


def _empty(layer: Shapes | Points) -> None:
    # Setting `data` would leave the features of what was there.
    layer.selected_data = set(range(len(layer.data)))
    layer.remove_selected()


def _features(layer: Shapes | Points) -> tuple[list[str], list[int]]:
    """Return the sign and the axis of each item, those of new items where they are missing."""
    table = layer.features
    defaults = layer.feature_defaults.iloc[0]
    count = len(layer.data)
    signs = table["sign"].fillna(defaults["sign"]) if "sign" in table else [POSITIVE] * count
    axes = table["axis"].fillna(defaults["axis"]) if "axis" in table else [0] * count
    return [str(sign) for sign in signs], [int(axis) for axis in axes]


def _shape(kind: str, vertices_xy: Any, positive: bool) -> tuple[str, Any]:
    """Return the field of PromptSet that a shape belongs to, and what it means there."""
    corners = tuple((float(x), float(y)) for x, y in vertices_xy)
    match kind:
        case "rectangle":
            return "boxes", rectangle_to_box(vertices_xy)
        case "line":
            return "lines", Line(corners[0], corners[-1])
        case "path":
            return "strokes", Stroke(corners, positive)
        case "ellipse":
            outline = ellipse_outline(vertices_xy)
            return "outlines", Outline(tuple((float(x), float(y)) for x, y in outline))
        case _:
            return "outlines", Outline(corners)


def _shapes(prompts: PromptSet) -> list[tuple[Any, str, str]]:
    """Return the shapes that stand for prompts: vertices (N, 2) in (x, y), type, sign."""
    shapes: list[tuple[Any, str, str]] = [
        (_corners(box), "rectangle", POSITIVE) for box in prompts.boxes
    ]
    shapes += [([line.start, line.end], "line", POSITIVE) for line in prompts.lines]
    shapes += [
        (stroke.points, "path", POSITIVE if stroke.positive else NEGATIVE)
        for stroke in prompts.strokes
    ]
    shapes += [(outline.vertices, "polygon", POSITIVE) for outline in prompts.outlines]
    return shapes


def _corners(box: Box) -> list[tuple[float, float]]:
    return [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]

"""Shapes and points layers as prompts, and back.

Each item carries two features: ``sign`` (positive or negative), and ``axis``, the display axis
of the plane on which it was drawn: a point lies on three planes, but was meant for one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri._napari.layers import plane_of, to_coordinates, to_pixels
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
    if not {"sign", "axis"} <= set(layer.features):  # the user removed the columns
        signs, axes = _features(layer)
        layer.features = {"sign": np.array(signs, object), "axis": np.array(axes, np.int64)}
    chosen = layer.feature_defaults.iloc[0]
    if (chosen["sign"], chosen["axis"]) != (sign, axis):  # to set them takes milliseconds
        layer.feature_defaults = {"sign": sign, "axis": axis}
    if hasattr(layer, "current_edge_color"):
        layer.current_edge_color = SIGN_COLOURS[sign]
    else:
        layer.current_face_color = SIGN_COLOURS[sign]


def read_drawn(shapes: Shapes, points: Points) -> dict[Plane, PromptSet]:
    """Return all that is drawn on both layers, by plane."""
    found: dict[Plane, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for item in (*_items(shapes), *_items(points)):
        field, prompt = _prompt(item)
        found[item.plane][field].append(prompt)
    return {
        plane: PromptSet(**{field: tuple(prompts) for field, prompts in fields.items()})
        for plane, fields in found.items()
    }


def write_drawn(shapes: Shapes, points: Points, drawn: Mapping[Plane, PromptSet]) -> None:
    """Make both layers show exactly these prompts; items that are there already are kept."""
    mode = shapes.mode
    _write(shapes, [item for pair in drawn.items() for item in _shapes(*pair)])
    _write(points, [item for pair in drawn.items() for item in _points(*pair)])
    if shapes.mode != mode:
        shapes.mode = mode


@dataclass(frozen=True)
class _Item:
    """A shape or a point as the layers have it."""

    kind: str
    vertices_xy: tuple[tuple[float, float], ...]
    sign: str
    plane: Plane


def _write(layer: Shapes | Points, wanted: list[_Item]) -> None:
    """Remove items that are not wanted and add those that are missing.

    Adding and removing take tens of milliseconds each, so that what can stay stays.
    """
    found, same = _items(layer), 0
    while same < min(len(found), len(wanted)) and found[same] == wanted[same]:
        same += 1
    if same == len(found) == len(wanted):
        return
    defaults = {"sign": POSITIVE, "axis": 0} | layer.feature_defaults.iloc[
        0
    ].to_dict()  # before a selection changes them
    if same < len(found):
        # Setting `data` would leave the features of what was there.
        layer.selected_data = set(range(same, len(found)))
        layer.remove_selected()
    for (sign, axis), items in groupby(wanted[same:], lambda i: (i.sign, i.plane.axis)):
        set_new_items(layer, sign, axis)
        _add(layer, list(items))
    set_new_items(layer, str(defaults["sign"]), int(defaults["axis"]))


def _add(layer: Shapes | Points, items: list[_Item]) -> None:
    """Add items of one sign and axis at once."""
    places = [to_coordinates(item.vertices_xy, item.plane, layer.ndim) for item in items]
    if items[0].kind == "point":
        layer.add(np.concatenate(places))
    else:
        layer.add(places, shape_type=[item.kind for item in items])


def _items(layer: Shapes | Points) -> list[_Item]:
    """Return what is on a layer."""
    kinds = getattr(layer, "shape_type", ["point"] * len(layer.data))
    items = []
    for vertices, kind, sign, axis in zip(layer.data, kinds, *_features(layer), strict=True):
        coordinates = np.atleast_2d(vertices)
        plane = plane_of(coordinates, axis)
        pairs = tuple((float(x), float(y)) for x, y in to_pixels(coordinates, plane))
        items.append(_Item(kind, pairs, sign, plane))
    return items


def _features(layer: Shapes | Points) -> tuple[list[str], list[int]]:
    """Return the sign and the axis of each item, those of new items where they are missing."""
    table, count = layer.features, len(layer.data)
    defaults = layer.feature_defaults
    sign = str(defaults["sign"].iloc[0]) if "sign" in defaults else POSITIVE
    axis = defaults["axis"].iloc[0] if "axis" in defaults else 0
    signs = list(table["sign"]) if "sign" in table else [sign] * count
    axes = list(table["axis"]) if "axis" in table else [axis] * count
    return (
        [each if each in {POSITIVE, NEGATIVE} else sign for each in map(str, signs)],
        [
            _flat_axis(np.atleast_2d(item), _axis(each, _axis(axis, 0)))
            for item, each in zip(layer.data, axes, strict=True)
        ],
    )


def _flat_axis(vertices: Any, axis: int) -> int:
    """Return an axis if vertices (N, ndim) lie on one plane across it, else the one they do."""
    spread = np.ptp(np.asarray(vertices, float)[:, -3:], axis=0)
    flat = np.flatnonzero(spread == 0)
    return int(flat[0]) if len(spread) == 3 and len(flat) == 1 else axis


def _axis(value: Any, otherwise: int) -> int:
    """Return the axis that a feature names, or another where it names none."""
    try:
        axis = int(value)
    except (TypeError, ValueError, OverflowError):  # missing, or a text
        return otherwise
    return axis if axis in range(3) else otherwise


def _prompt(item: _Item) -> tuple[str, Any]:
    """Return the field of PromptSet that an item belongs to, and what it means there."""
    corners, positive = item.vertices_xy, item.sign == POSITIVE
    match item.kind:
        case "point":
            return "points", Point(*corners[0], positive)
        case "rectangle":
            return "boxes", rectangle_to_box(corners)
        case "line":
            return "lines", Line(corners[0], corners[-1])
        case "path":
            return "strokes", Stroke(corners, positive)
        case "ellipse":
            # As the layer would keep it, in single precision: it comes back as a polygon.
            outline = np.asarray(ellipse_outline(corners), np.float32)
            return "outlines", Outline(tuple((float(x), float(y)) for x, y in outline))
        case _:
            return "outlines", Outline(corners)


def _shapes(plane: Plane, prompts: PromptSet) -> list[_Item]:
    """Return the shapes that stand for prompts."""
    items = [_Item("rectangle", _corners(box), POSITIVE, plane) for box in prompts.boxes]
    items += [_Item("line", (line.start, line.end), POSITIVE, plane) for line in prompts.lines]
    items += [
        _Item("path", stroke.points, POSITIVE if stroke.positive else NEGATIVE, plane)
        for stroke in prompts.strokes
    ]
    items += [_Item("polygon", o.vertices, POSITIVE, plane) for o in prompts.outlines]
    return items


def _points(plane: Plane, prompts: PromptSet) -> list[_Item]:
    return [
        _Item("point", ((p.x, p.y),), POSITIVE if p.positive else NEGATIVE, plane)
        for p in prompts.points
    ]


def _corners(box: Box) -> tuple[tuple[float, float], ...]:
    return ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))

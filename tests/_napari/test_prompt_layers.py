"""What is drawn on layers, as prompts, and prompts as what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Points, Shapes

from napari_samri._napari.prompt_layers import (
    NEGATIVE,
    POSITIVE,
    read_drawn,
    set_new_items,
    write_drawn,
)
from napari_samri.geometry import Plane
from napari_samri.prompts import Box, Line, Outline, Point, PromptSet, Stroke

NO_ITEMS = {"sign": np.empty(0, object), "axis": np.empty(0, np.int64)}


def _layers(ndim: int = 3) -> tuple[Shapes, Points]:
    layers = (
        Shapes(None, ndim=ndim, features=NO_ITEMS),
        Points(None, ndim=ndim, features=NO_ITEMS),
    )
    for layer in layers:
        set_new_items(layer, POSITIVE, 0)
    return layers


_SINGLE = st.floats(0, 50, width=32)
_PAIR = st.tuples(_SINGLE, _SINGLE)


def _box(x: float, y: float, width: float, height: float) -> Box:
    return Box(*(float(np.float32(value)) for value in (x, y, x + width, y + height)))


_SETS = st.builds(
    PromptSet,
    boxes=st.lists(
        st.builds(_box, _SINGLE, _SINGLE, st.integers(1, 9), st.integers(1, 9)), max_size=2
    ).map(tuple),
    points=st.lists(st.builds(Point, _SINGLE, _SINGLE, st.booleans()), max_size=3).map(tuple),
    strokes=st.lists(
        st.builds(Stroke, st.lists(_PAIR, min_size=2, max_size=4).map(tuple), st.booleans()),
        max_size=1,
    ).map(tuple),
    lines=st.lists(st.builds(Line, _PAIR, _PAIR), max_size=1).map(tuple),
    outlines=st.just(()),
).filter(lambda prompts: not prompts.is_empty)
_PLANES = st.builds(Plane, st.integers(0, 2), st.integers(0, 9))
_DRAWN = st.dictionaries(_PLANES, _SETS, max_size=3)
OUTLINE = Outline(((1.0, 1.0), (5.5, 1.0), (5.5, 7.25), (0.5, 4.0)))


@settings(max_examples=25, deadline=None)
@given(_DRAWN, _DRAWN)
def test_there_and_back(first: dict[Plane, PromptSet], second: dict[Plane, PromptSet]) -> None:
    layers = _layers()
    for drawn in (first, second, {}, first):
        write_drawn(*layers, drawn)
        assert read_drawn(*layers) == drawn


@pytest.mark.parametrize(
    ("plane", "ndim"), [(Plane(2, 3, 1), 4), (Plane(0, 3, 0), 4), (Plane(0, 0), 2)]
)
def test_with_time_and_in_2d(plane: Plane, ndim: int) -> None:
    prompts = PromptSet(
        boxes=(Box(1, 2, 3, 5),),
        points=(Point(1.5, 2), Point(0, 0, False)),
        outlines=(OUTLINE,),
        lines=(Line((0, 0), (3, 4)),),
        strokes=(Stroke(((1, 1), (2, 2), (4, 2)), False),),
    )
    layers = _layers(ndim)
    write_drawn(*layers, {plane: prompts})
    assert read_drawn(*layers) == {plane: prompts}


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("rectangle", "boxes"),
        ("line", "lines"),
        ("path", "strokes"),
        ("polygon", "outlines"),
        ("ellipse", "outlines"),
    ],
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_shape_on_each_axis(kind: str, field: str, axis: int) -> None:
    """As somebody draws it; written anew, it says the same."""
    shapes, points = _layers()
    for layer in (shapes, points):
        set_new_items(layer, POSITIVE, axis)
    corners = [(2.3, 1.1), (2.3, 9.7), (8.9, 9.7), (8.9, 1.1)]
    chosen = corners[::2] if kind == "line" else corners
    vertices = np.insert(np.array(chosen), axis, 4, axis=1)
    shapes.add([vertices], shape_type=kind)
    drawn = read_drawn(shapes, points)
    assert list(drawn) == [Plane(axis, 4)]
    (item,) = getattr(drawn[Plane(axis, 4)], field)
    if kind == "rectangle":
        np.testing.assert_allclose([item.x0, item.y0, item.x1, item.y1], [1.1, 2.3, 9.7, 8.9])
    other = _layers()
    write_drawn(*other, drawn)
    assert read_drawn(*other) == drawn


def test_rectangles_drawn_from_any_corner_are_one_box() -> None:
    corners = np.array([[4, 1, 2], [4, 1, 9], [4, 8, 9], [4, 8, 2]], float)
    for turned in (corners, corners[::-1], np.roll(corners, 2, axis=0)):
        shapes, points = _layers()
        shapes.add([turned], shape_type="rectangle")
        assert read_drawn(shapes, points) == {Plane(0, 4): PromptSet(boxes=(Box(2, 1, 9, 8),))}


def test_a_point_belongs_to_the_plane_on_which_it_was_drawn() -> None:
    shapes, points = _layers()
    for axis, sign in ((0, POSITIVE), (1, NEGATIVE), (2, POSITIVE)):
        set_new_items(points, sign, axis)
        points.add([[1, 2, 3]])
    assert read_drawn(shapes, points) == {
        Plane(0, 1): PromptSet(points=(Point(3, 2),)),
        Plane(1, 2): PromptSet(points=(Point(3, 1, False),)),
        Plane(2, 3): PromptSet(points=(Point(2, 1),)),
    }


def test_what_is_drawn_next_stays_chosen() -> None:
    shapes, points = _layers()
    for layer in (shapes, points):
        set_new_items(layer, NEGATIVE, 2)
    shapes.mode = "add_rectangle"
    points.mode = "add"
    drawn = {Plane(0, 1): PromptSet(boxes=(Box(0, 0, 3, 3),), points=(Point(1, 1),))}
    for wanted in (drawn, {}, drawn):
        write_drawn(shapes, points, wanted)
        for layer in (shapes, points):
            chosen = layer.feature_defaults.iloc[0]
            assert (chosen["sign"], chosen["axis"]) == (NEGATIVE, 2)
            assert set(layer.selected_data) == set()
        assert shapes.mode == "add_rectangle"
        assert points.mode == "add"
    points.add([[0, 4, 5]])
    assert points.features["axis"].tolist() == [0, 2]


def test_what_stays_is_not_drawn_anew() -> None:
    layers = _layers()
    plane = Plane(0, 1)
    many = tuple(Box(n, 0, n + 2, 3) for n in range(5))
    write_drawn(*layers, {plane: PromptSet(boxes=many)})
    added: list[Any] = []
    layers[0].events.data.connect(lambda event: added.append(event.action))
    write_drawn(*layers, {plane: PromptSet(boxes=many)})
    assert added == []
    write_drawn(*layers, {plane: PromptSet(boxes=(*many, Box(0, 0, 9, 9)))})
    assert [str(getattr(action, "value", action)) for action in added] == ["adding", "added"]


def test_items_that_others_added_without_features() -> None:
    shapes, points = _layers()
    points.add([[1, 2, 3]])
    points.features = {}
    assert read_drawn(shapes, points) == {Plane(0, 1): PromptSet(points=(Point(3, 2),))}

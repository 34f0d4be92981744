"""Drawn shapes resolve into one prompt per object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.errors import InputError
from napari_samri.prompts import (
    Box,
    Line,
    MaskRegion,
    Outline,
    Point,
    Prompt,
    PromptSet,
    Stroke,
    mask_to_box,
)
from napari_samri.prompts.outline import line_to_box, polygon_to_mask

SLICE = (64, 128)  # rows, columns; 8 pixels of the frame are one of the slice
BOX = Box(2, 3, 20, 30)
LINE = Line((60, 20), (80, 20))
TRIANGLE = Outline(((90, 10), (120, 10), (105, 50)))
ON_BOX = Point(5, 5)
OFF = Point(50, 60, positive=False)
DOT = Stroke(((100, 20),))
SCRIBBLE = Stroke(((4, 10), (8, 10)), positive=False)
FULL = PromptSet((BOX,), (ON_BOX, OFF), (DOT, SCRIBBLE), (LINE,), (TRIANGLE,))


def outlined(outline: Outline) -> Prompt:
    mask = polygon_to_mask(outline.vertices, SLICE)
    return Prompt(mask_to_box(mask), mask=MaskRegion.from_array(mask))


def test_sets_are_hashable_and_equal_by_content():
    twin = PromptSet((BOX,), (ON_BOX, OFF), (DOT, SCRIBBLE), (LINE,), (TRIANGLE,))
    assert twin == FULL
    assert hash(twin) == hash(FULL)
    assert PromptSet(strokes=(DOT,)) != PromptSet()
    assert len(set(FULL.resolve(SLICE))) == 3


def test_shapes_are_made_of_arrays():
    assert Stroke.from_xy(np.array([[1, 2], [3, 4]]), positive=False) == Stroke(
        ((1, 2), (3, 4)), positive=False
    )
    assert Line.from_xy([[60, 20], [80, 20]]) == LINE
    assert Outline.from_xy(np.array(TRIANGLE.vertices)) == TRIANGLE
    assert hash(Outline.from_xy(np.array(TRIANGLE.vertices))) == hash(TRIANGLE)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Stroke.from_xy(np.zeros((0, 2))), "scribble.*at least 1 point"),
        (lambda: Line.from_xy(np.zeros((1, 2))), "line.*at least 2 points"),
        (lambda: Line.from_xy(np.zeros((3, 2))), "line has 3 points; expected two"),
        (lambda: Outline.from_xy(np.zeros((2, 2))), "outline.*at least 3 points"),
        (lambda: Outline.from_xy(np.full((3, 2), np.nan)), "outline.*not finite"),
    ],
)
def test_shapes_are_not_made_of_nonsense(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_emptiness_and_objects():
    assert PromptSet().is_empty
    assert not PromptSet().has_object
    negative = PromptSet(points=(OFF,), strokes=(SCRIBBLE,))
    assert not negative.is_empty
    assert not negative.has_object
    for drawn in (
        PromptSet((BOX,)),
        PromptSet(points=(ON_BOX,)),
        PromptSet(strokes=(DOT,)),
        PromptSet(lines=(LINE,)),
        PromptSet(outlines=(TRIANGLE,)),
    ):
        assert drawn.has_object
        assert not drawn.is_empty


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (PromptSet((BOX,)), Prompt(BOX)),
        (PromptSet((BOX,), (ON_BOX, OFF)), Prompt(BOX, (ON_BOX, OFF))),
        (PromptSet(points=(ON_BOX, OFF)), Prompt(None, (ON_BOX, OFF))),
        (PromptSet(lines=(LINE,)), Prompt(line_to_box(LINE.start, LINE.end, SLICE))),
        (PromptSet(outlines=(TRIANGLE,)), outlined(TRIANGLE)),
        (PromptSet(strokes=(DOT,)), Prompt(None, (Point(100, 20),))),
        (
            PromptSet((BOX,), (ON_BOX,), (SCRIBBLE,)),
            Prompt(BOX, (ON_BOX, Point(4, 10, False), Point(8, 10, False))),
        ),
    ],
)
def test_one_object(drawn, expected):
    assert drawn.resolve(SLICE) == (expected,)


def test_several_objects_share_points_by_their_boxes():
    box, line, outline = FULL.resolve(SLICE)
    negative = (OFF, Point(4, 10, False), Point(8, 10, False))
    assert box == Prompt(BOX, (ON_BOX, *negative))
    assert line == Prompt(line_to_box(LINE.start, LINE.end, SLICE), negative)
    assert outline.points == (Point(100, 20), *negative)
    assert outline.mask == outlined(TRIANGLE).mask


def test_resolving_agrees_with_splitting_boxes_and_points():
    drawn = PromptSet((BOX, Box(60, 10, 80, 30)), (ON_BOX, OFF, Point(120, 60)))
    assert drawn.resolve(SLICE) == drawn.split()


def test_rows_far_apart_narrow_a_diameter():
    square = PromptSet(lines=(LINE,)).resolve(SLICE)[0].box
    narrow = PromptSet(lines=(LINE,)).resolve(SLICE, pixel_size_xy=(1, 2))[0].box
    assert narrow.y1 - narrow.y0 == pytest.approx((square.y1 - square.y0) / 2)


def test_what_hangs_over_the_border_is_clipped():
    drawn = PromptSet(
        boxes=(Box(-9, -9, 20, 30),),
        strokes=(Stroke(((100, 60), (100, 90))),),
        outlines=(Outline(((100, 10), (200, 10), (200, 50), (100, 50))),),
    )
    box, outline, loose = drawn.resolve(SLICE)
    assert box.box == Box(0, 0, 20, 30)
    assert outline.box == Box(100, 10, 127, 50)
    assert [(p.x, p.y) for p in loose.points] == [(100, 60), (100, 63.5)]


def test_a_scribble_that_leaves_and_comes_back_has_two_pieces():
    around = Stroke(((10, 60), (10, 80), (30, 80), (30, 60)))
    points = PromptSet(strokes=(around,)).all_points(SLICE)
    assert [(p.x, p.y) for p in points] == [(10, 60), (10, 63.5), (30, 63.5), (30, 60)]


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (PromptSet(points=(Point(200, 5),)), "point.*outside the slice.*0 to 127.*0 to 63.*Move"),
        (PromptSet((Box(200, 5, 210, 9),)), "box.*outside the slice"),
        (PromptSet((BOX, Box(5, 5, 5, 9))), "has no size"),
        (PromptSet(lines=(Line((5, 70), (50, 70)),)), "line.*outside the slice"),
        (PromptSet(lines=(Line((5, 7), (5, 7)),)), "no length"),
        (PromptSet(strokes=(DOT, Stroke(((5, 70), (50, 70))))), "scribble from.*outside the slice"),
        (PromptSet(strokes=(Stroke(()),)), "at least 1 point"),
        (PromptSet(outlines=(Outline(((200, 1), (210, 1), (205, 9))),)), "outline of 3 points"),
        (PromptSet(outlines=(Outline(((2.2, 2), (2.8, 2), (2.5, 9))),)), "Draw it larger"),
    ],
)
def test_bad_shapes_are_refused_by_both(drawn, said):
    for refuse in (drawn.resolve, drawn.check):
        with pytest.raises(InputError, match=said):
            refuse(SLICE)


def test_negative_shapes_alone_may_be_drawn_but_say_nothing():
    for drawn, said in [
        (PromptSet(), "empty"),
        (PromptSet(points=(OFF,)), "all points are negative"),
        (PromptSet(strokes=(SCRIBBLE,)), "all points are negative"),
    ]:
        drawn.check(SLICE)
        with pytest.raises(InputError, match=said):
            drawn.resolve(SLICE)


def test_a_mask_is_something_to_go_by():
    mask = MaskRegion.from_array(np.eye(5))
    Prompt(mask=mask).check((5, 5))
    Prompt(points=(Point(1, 1, positive=False),), mask=mask).check((5, 5))
    with pytest.raises(InputError, match="mask prompt's shape"):
        Prompt(mask=mask).check((5, 6))
    with pytest.raises(InputError, match="mask prompt is empty"):
        Prompt(BOX, mask=MaskRegion.from_array(np.zeros(SLICE))).check(SLICE)


PLACE = st.one_of(st.floats(-100, 200), st.sampled_from([-0.5, 0.0, 63.0, 63.5, 127.0, 127.5]))
PAIR = st.tuples(PLACE, PLACE)


def some(values):
    return st.lists(values, max_size=3).map(tuple)


ANYTHING = st.builds(
    PromptSet,
    boxes=some(st.builds(Box, PLACE, PLACE, PLACE, PLACE)),
    points=some(st.builds(Point, PLACE, PLACE, st.booleans())),
    strokes=some(st.builds(Stroke, st.lists(PAIR, min_size=1, max_size=6).map(tuple))),
    lines=some(st.builds(Line, PAIR, PAIR)),
    outlines=some(st.builds(Outline, st.lists(PAIR, min_size=3, max_size=6).map(tuple))),
)


@settings(deadline=None)  # the first scribble loads scikit-image
@given(ANYTHING)
def test_whatever_is_drawn_is_refused_or_resolved_onto_the_slice(drawn):
    try:
        prompts = drawn.resolve(SLICE)
    except InputError:
        return
    assert drawn.has_object
    drawn.check(SLICE)
    assert prompts == drawn.resolve(SLICE)
    shapes = len(drawn.boxes) + len(drawn.lines) + len(drawn.outlines)
    assert shapes <= len(prompts) <= shapes + 1
    assert sum(prompt.mask is not None for prompt in prompts) == len(drawn.outlines)
    for prompt in prompts:
        prompt.check(SLICE)

"""Points and boxes: checked against their slice, and told apart by object."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_samri.errors import InputError
from napari_samri.prompts import Box, Point, Prompt, PromptSet

SLICE = (20, 30)  # rows, columns


def test_points_and_boxes_on_the_slice_pass():
    for point in (Point(0, 0), Point(29, 19), Point(12.5, 3.25, positive=False)):
        point.check(SLICE)
    for box in (Box(0, 0, 29, 19), Box(3, 4, 4, 5), Box(1.5, 2.5, 9, 9)):
        box.check(SLICE)


@pytest.mark.parametrize(
    "point", [Point(-1, 0), Point(0, -1), Point(31, 0), Point(0, 21), Point(math.nan, 0)]
)
def test_points_off_the_slice_are_refused_with_the_range(point):
    with pytest.raises(InputError, match=r"outside the slice.*0 to 29.*0 to 19"):
        point.check(SLICE)


@pytest.mark.parametrize(
    "box", [Box(-1, 0, 5, 5), Box(0, 0, 31, 5), Box(0, 0, 5, 21), Box(0, 0, math.inf, 5)]
)
def test_boxes_off_the_slice_are_refused_with_the_range(box):
    with pytest.raises(InputError, match=r"outside the slice.*0 to 29.*0 to 19"):
        box.check(SLICE)


@pytest.mark.parametrize(
    "box", [Box(3, 3, 3, 9), Box(3, 3, 9, 3), Box(9, 3, 3, 9), Box(math.nan, 0, 5, 5)]
)
def test_boxes_without_a_size_are_refused(box):
    with pytest.raises(InputError, match="has no size"):
        box.check(SLICE)


def test_a_prompt_needs_a_box_or_a_positive_point():
    Prompt(Box(1, 1, 5, 5)).check(SLICE)
    Prompt(None, (Point(1, 1),)).check(SLICE)
    Prompt(Box(1, 1, 5, 5), (Point(2, 2, positive=False),)).check(SLICE)
    with pytest.raises(InputError, match="empty"):
        Prompt().check(SLICE)
    with pytest.raises(InputError, match="negative"):
        Prompt(None, (Point(1, 1, positive=False),)).check(SLICE)


def test_all_parts_of_a_prompt_are_checked():
    inside, outside = Point(1, 1), Point(99, 1)
    with pytest.raises(InputError, match="point"):
        Prompt(Box(0, 0, 5, 5), (inside, outside)).check(SLICE)
    with pytest.raises(InputError, match="box"):
        Prompt(Box(0, 0, 99, 5), (inside,)).check(SLICE)


def test_arrays_are_those_of_the_sam_library():
    prompt = Prompt(Box(1, 2, 3, 4), (Point(5, 6), Point(7, 8, positive=False)))
    assert np.array_equal(prompt.box_xyxy, [1, 2, 3, 4])
    assert np.array_equal(prompt.points_xy, [[5, 6], [7, 8]])
    assert np.array_equal(prompt.point_labels, [1, 0])
    empty = Prompt()
    assert empty.box_xyxy is None
    assert empty.points_xy is None
    assert empty.point_labels is None


LEFT, RIGHT = Box(0, 0, 9, 9), Box(20, 0, 29, 9)
IN_LEFT, IN_RIGHT, LOOSE = Point(4, 4), Point(25, 4), Point(15, 15)
NEGATIVE = Point(5, 5, positive=False)


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        (PromptSet(), [Prompt()]),
        (PromptSet((LEFT,)), [Prompt(LEFT)]),
        (PromptSet((), (IN_LEFT, LOOSE)), [Prompt(None, (IN_LEFT, LOOSE))]),
        (PromptSet((LEFT,), (LOOSE, NEGATIVE)), [Prompt(LEFT, (LOOSE, NEGATIVE))]),
        (
            PromptSet((LEFT, RIGHT), (IN_LEFT, IN_RIGHT, NEGATIVE)),
            [Prompt(LEFT, (IN_LEFT, NEGATIVE)), Prompt(RIGHT, (IN_RIGHT, NEGATIVE))],
        ),
        (
            PromptSet((LEFT, RIGHT), (LOOSE, NEGATIVE)),
            [
                Prompt(LEFT, (NEGATIVE,)),
                Prompt(RIGHT, (NEGATIVE,)),
                Prompt(None, (LOOSE, NEGATIVE)),
            ],
        ),
        (
            PromptSet((LEFT, Box(3, 3, 15, 15)), (IN_LEFT,)),  # in both boxes
            [Prompt(LEFT, (IN_LEFT,)), Prompt(Box(3, 3, 15, 15), (IN_LEFT,))],
        ),
    ],
)
def test_a_set_is_split_into_objects(prompts, expected):
    assert list(prompts.split()) == expected


def test_a_box_holds_the_points_on_its_border():
    assert LEFT.contains(Point(9, 9))
    assert LEFT.contains(Point(0, 5))
    assert not LEFT.contains(Point(9.01, 5))

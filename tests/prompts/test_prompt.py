"""Points and boxes: checked against their slice, and told apart by object."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samri.errors import InputError
from napari_samri.prompts import Box, MaskRegion, Point, Prompt, PromptSet

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


SHAPES = st.tuples(st.integers(0, 20), st.integers(0, 20))


@given(arrays(bool, SHAPES))
def test_a_mask_comes_back_as_it_was(mask):
    region = MaskRegion.from_array(mask)
    assert region.array.dtype == bool
    assert np.array_equal(region.array, mask)
    assert region.is_empty is not mask.any()
    assert hash(region) == hash(MaskRegion.from_array(mask.copy()))
    assert region == MaskRegion.from_array(mask.astype(np.uint8) * 255)


@given(arrays(bool, (5, 7)), arrays(bool, (5, 7)))
def test_masks_are_equal_by_content(first, second):
    same = MaskRegion.from_array(first) == MaskRegion.from_array(second)
    assert same == np.array_equal(first, second)


def test_the_shape_is_part_of_a_mask():
    assert MaskRegion.from_array(np.ones((2, 8))) != MaskRegion.from_array(np.ones((8, 2)))
    assert MaskRegion.from_array(np.zeros((1, 3))) != MaskRegion.from_array(np.zeros((1, 4)))


def test_the_array_is_a_copy():
    region = MaskRegion.from_array(np.zeros((3, 3), bool))
    region.array[:] = True
    assert region.is_empty


def test_a_memory_order_makes_no_difference():
    mask = np.arange(12).reshape(3, 4) % 5 == 0
    assert MaskRegion.from_array(np.asfortranarray(mask)) == MaskRegion.from_array(mask)


def test_a_mask_has_two_axes():
    with pytest.raises(InputError, match=r"\(2, 3, 4\); expected two axes"):
        MaskRegion.from_array(np.ones((2, 3, 4)))


def test_a_mask_must_fit_its_slice_and_have_pixels():
    MaskRegion.from_array(np.eye(4)).check((4, 4))
    with pytest.raises(InputError, match=r"\(4, 4\); expected the slice's, \(4, 5\)"):
        MaskRegion.from_array(np.eye(4)).check((4, 5))
    with pytest.raises(InputError, match="empty"):
        MaskRegion.from_array(np.zeros((4, 4))).check((4, 4))

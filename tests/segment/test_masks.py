"""Masks tidied: the largest part, the holes, and what never changes."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_samri.segment.masks import PostProcessing, largest_component

if TYPE_CHECKING:
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))
ALL = [
    PostProcessing(largest_component=largest, fill_holes=holes)
    for largest, holes in product((False, True), repeat=2)
]


def drawn(text: str) -> BoolArray:
    """Turn a drawing, # for the mask, into an array."""
    return np.array([[pixel == "#" for pixel in row] for row in text.split()])


def parts(mask: BoolArray, *, diagonal: bool) -> list[set[tuple[int, int]]]:
    """Return a mask's connected parts, by flood fill."""
    steps = [s for s in product((-1, 0, 1), repeat=2) if diagonal or abs(s[0]) + abs(s[1]) == 1]
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    found = []
    while left:
        part, front = set(), [left.pop()]
        while front:
            row, column = front.pop()
            part.add((row, column))
            near = {(row + i, column + j) for i, j in steps} & left
            left -= near
            front.extend(near)
        found.append(part)
    return found


def test_by_default_nothing_changes() -> None:
    mask = drawn("#.## #.## ....")
    np.testing.assert_array_equal(PostProcessing()(mask), mask)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("##..# ##..# ....#", "##... ##... ....."),
        ("#.... .#... ....#", "#.... .#... ....."),
        ("..... ..#.. .....", "..... ..#.. ....."),
        ("..... .....", "..... ....."),
        ("##### #####", "##### #####"),
    ],
    ids=["larger part", "diagonal contact", "one part", "empty", "full"],
)
def test_largest_component(before: str, after: str) -> None:
    mask = PostProcessing(largest_component=True)(drawn(before))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, drawn(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("##### #...# #####", "##### ##### #####"),
        (".#. #.# .#.", ".#. ### .#."),
        ("##### #...# ###.#", "##### #...# ###.#"),
        ("...... ......", "...... ......"),
    ],
    ids=["ring", "diagonal ring", "bay", "empty"],
)
def test_fill_holes(before: str, after: str) -> None:
    mask = PostProcessing(fill_holes=True)(drawn(before))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, drawn(after))


def test_the_largest_part_is_chosen_before_holes_are_filled() -> None:
    """A thin large ring has fewer pixels than a disc: what counts is what the network drew."""
    mask = drawn("#####.... #...#.### #...#.### #...#.### #...#.### #####.###")
    tidied = PostProcessing(largest_component=True, fill_holes=True)(mask)
    assert mask[:, 6:].sum() < mask[:, :5].sum()
    np.testing.assert_array_equal(tidied[:, :5], np.ones((6, 5), bool))
    assert not tidied[:, 5:].any()


@pytest.mark.parametrize("post", ALL)
@given(mask=MASKS)
def test_idempotent_and_harmless(post: PostProcessing, mask: BoolArray) -> None:
    before = mask.copy()
    once = post(mask)
    np.testing.assert_array_equal(mask, before, err_msg="the input was changed")
    assert once.shape == mask.shape
    assert once.dtype == bool
    assert once.any() == mask.any()
    np.testing.assert_array_equal(post(once), once)


@given(MASKS)
def test_largest_component_is_one_of_the_largest_parts(mask: BoolArray) -> None:
    expected = parts(mask, diagonal=True)
    kept = {(int(row), int(column)) for row, column in np.argwhere(largest_component(mask))}
    if expected:
        assert kept in expected
        assert len(kept) == max(map(len, expected))
    else:
        assert not kept


@given(MASKS)
def test_filled_pixels_are_those_that_cannot_reach_the_border(mask: BoolArray) -> None:
    expected = mask.copy()
    border = {0, mask.shape[0] - 1}, {0, mask.shape[1] - 1}
    for part in parts(~mask, diagonal=False):
        if not any(row in border[0] or column in border[1] for row, column in part):
            for pixel in part:
                expected[pixel] = True
    np.testing.assert_array_equal(PostProcessing(fill_holes=True)(mask), expected)


@given(MASKS, st.integers(0, 3), st.booleans())
def test_turning_the_slice_turns_the_answer(mask: BoolArray, turns: int, flip: bool) -> None:
    """Holes do not depend on the slice's orientation; nor does the largest part's size."""

    def turned(array: BoolArray) -> BoolArray:
        array = np.rot90(array, turns)
        return array[:, ::-1] if flip else array

    fill = PostProcessing(fill_holes=True)
    np.testing.assert_array_equal(fill(turned(mask)), turned(fill(mask)))
    assert largest_component(turned(mask)).sum() == largest_component(mask).sum()

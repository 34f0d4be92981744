"""Masks as packed bits: the same back, equal by content."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samri.errors import InputError
from napari_samri.prompts import MaskRegion

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

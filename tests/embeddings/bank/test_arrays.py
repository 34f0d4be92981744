"""What is lost by storing embeddings in fewer bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samri.embeddings.bank.arrays import from_int8, to_half, to_int8
from napari_samri.errors import StoreError

SHAPE = (3, 4, 5)
HALVES = arrays(np.float16, SHAPE, elements=st.floats(-6e4, 6e4, width=16))


@given(half=HALVES)
def test_the_error_of_int8_is_half_a_step(half) -> None:
    stored, scale = to_int8(half)
    assert stored.dtype == np.int8
    assert scale.dtype == np.float32
    assert stored.min() >= -127
    error = np.abs(from_int8(stored, scale) - half.astype(np.float32))
    assert (error <= 0.501 * scale[:, None, None]).all()


@given(half=HALVES)
def test_scales_are_those_of_each_channel(half) -> None:
    stored, scale = to_int8(half)
    for channel in range(3):
        own, own_scale = to_int8(half[channel : channel + 1])
        assert np.array_equal(own[0], stored[channel])
        assert own_scale[0] == scale[channel]


def test_zeros_stay_zeros() -> None:
    stored, scale = to_int8(np.zeros(SHAPE, np.float16))
    assert not stored.any()
    assert not scale.any()
    assert not from_int8(stored, scale).any()


@given(values=arrays(np.float32, SHAPE, elements=st.floats(-6e4, 6e4, width=32)))
def test_the_error_of_half_precision(values) -> None:
    error = np.abs(to_half(values).astype(np.float32) - values)
    assert (error <= np.maximum(np.abs(values) * 2**-11, 2**-25)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 7e4])
def test_what_half_precision_cannot_hold(value: float) -> None:
    values = np.zeros(SHAPE, np.float32)
    values[1, 2, 3] = value
    with pytest.raises(StoreError, match="not finite"):
        to_half(values)

"""Each family's intensities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_samri.errors import InputError
from napari_samri.geometry.intensity import (
    Window,
    finite,
    minmax_uint8,
    percentile_window,
    windowed_uint8,
)

slices = hnp.arrays(
    st.sampled_from([np.int16, np.uint8, np.float32]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
    elements=st.integers(0, 200),
)


@given(image=slices)
def test_minmax_spans_the_range_and_keeps_the_order(image: np.ndarray) -> None:
    if image.min() == image.max():
        with pytest.raises(InputError, match="constant"):
            minmax_uint8(image)
        return
    result = minmax_uint8(image)
    assert (result.min(), result.max()) == (0, 255)
    order = np.argsort(image, axis=None)
    assert (np.diff(result.ravel()[order].astype(int)) >= 0).all()
    np.testing.assert_array_equal(minmax_uint8(image.astype(np.float64) * 3 - 50), result)


def test_minmax_does_not_overflow() -> None:
    image = np.array([[-32768, 32767], [0, 1]], np.int16)
    np.testing.assert_array_equal(minmax_uint8(image), [[0, 255], [128, 128]])


def test_values_that_are_not_finite_count_as_zero() -> None:
    image = np.array([[np.nan, np.inf], [-np.inf, 4]], np.float32)
    np.testing.assert_array_equal(finite(image), [[0, 0], [0, 4]])
    np.testing.assert_array_equal(minmax_uint8(image), [[0, 0], [0, 255]])


def test_window_ignores_the_background() -> None:
    image = np.zeros((100, 100), np.float32)
    image[:50] = np.linspace(100, 200, 5000).reshape(50, 100)
    window = percentile_window(image)
    assert window.low == pytest.approx(100.5, abs=0.1)
    assert window.high == pytest.approx(199.5, abs=0.1)
    result = windowed_uint8(image, window)
    assert (result[50:] == 0).all()
    assert result[:50].max() == 255


def test_slices_of_one_volume_share_a_window() -> None:
    window = Window(0, 100)
    dim = windowed_uint8(np.array([[1, 50]]), window)
    bright = windowed_uint8(np.array([[50, 100]]), window)
    assert dim[0, 1] == bright[0, 0] == 127


def test_empty_window() -> None:
    assert percentile_window(np.zeros((3, 3))) == Window(0, 0)
    with pytest.raises(InputError, match="constant within its intensity window"):
        windowed_uint8(np.zeros((3, 3)), Window(0, 0))

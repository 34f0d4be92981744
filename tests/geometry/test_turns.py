"""Slices turned and flipped."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samri.geometry.turns import TURNS, turned


def test_all_eight_ways_differ_and_nothing_is_lost() -> None:
    image = np.arange(6).reshape(2, 3)
    every = [turned(image, turn) for turn in range(TURNS)]
    assert len({(each.shape, each.tobytes()) for each in every}) == TURNS
    np.testing.assert_array_equal(every[0], image)
    np.testing.assert_array_equal(every[1], [[2, 5], [1, 4], [0, 3]])  # against the clock
    np.testing.assert_array_equal(every[4], [[2, 1, 0], [5, 4, 3]])
    for each in every:
        assert sorted(each.ravel()) == list(range(6))


@pytest.mark.parametrize("turn", range(TURNS))
def test_a_mask_stays_on_its_object(turn: int) -> None:
    image = np.random.default_rng(0).random((7, 5))
    mask = image > 0.6
    np.testing.assert_array_equal(turned(image, turn)[turned(mask, turn)] > 0.6, True)

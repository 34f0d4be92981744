"""Trivial answers to a box, by the areas of rectangles and ellipses, and what Otsu separates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_samri.evaluation import BASELINES, dice, filled_box, inscribed_ellipse, otsu_in_box

SLICE = np.zeros((120, 160))
BOX = (20, 10, 139, 109)  # 120 x 100 pixels


def test_the_filled_box_is_its_slice() -> None:
    expected = np.zeros(SLICE.shape, bool)
    expected[10:110, 20:140] = True
    np.testing.assert_array_equal(filled_box(SLICE, BOX), expected)


def test_the_ellipse_touches_its_box() -> None:
    ellipse = inscribed_ellipse(SLICE, BOX)
    rows, columns = np.nonzero(ellipse)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == BOX
    assert ellipse.sum() == pytest.approx(math.pi / 4 * 120 * 100, rel=0.002)
    np.testing.assert_array_equal(ellipse[10:110, 20:140], ellipse[109:9:-1, 139:19:-1])


def test_a_box_around_an_ellipse_has_most_of_its_dice() -> None:
    # 2 a / (1 + a) for the share a = pi / 4 of the box.
    share = math.pi / 4
    found = dice(filled_box(SLICE, BOX), inscribed_ellipse(SLICE, BOX))
    assert found == pytest.approx(2 * share / (1 + share), abs=0.001)


@pytest.mark.parametrize("inner", [100.0, -100.0], ids=["bright", "dark"])
def test_otsu_finds_an_object_of_another_grey_value(inner: float) -> None:
    truth = inscribed_ellipse(SLICE, BOX)
    noise = np.random.default_rng(0).uniform(-5, 5, SLICE.shape)
    np.testing.assert_array_equal(otsu_in_box(noise + inner * truth, BOX), truth)


def test_a_box_of_one_grey_value_is_filled() -> None:
    np.testing.assert_array_equal(otsu_in_box(SLICE, BOX), filled_box(SLICE, BOX))


@pytest.mark.parametrize("fill", BASELINES.values(), ids=list(BASELINES))
def test_a_box_of_one_pixel_is_that_pixel(fill) -> None:
    mask = fill(SLICE, (7, 5, 7, 5))
    assert mask.sum() == 1
    assert mask[5, 7]

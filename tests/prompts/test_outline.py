"""Boxes and masks of drawn shapes, compared with OpenCV's geometry where it knows better."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samri.errors import InputError
from napari_samri.prompts import Box, ellipse_outline, mask_to_box, rectangle_to_box
from napari_samri.prompts.outline import line_to_box, polygon_to_mask

SLICE = (20, 30)  # rows, columns
WIDE = (1000, 1000)
COORDINATE = st.floats(-10, 40, width=32)
NUMBERS = st.floats(200, 800, width=32)


def values(box: Box) -> list[float]:
    return [box.x0, box.y0, box.x1, box.y1]


def test_a_rectangle_is_the_box_of_its_corners_in_any_order():
    corners = np.array([[8, 2], [3, 2], [3, 9], [8, 9]])
    assert rectangle_to_box(corners) == Box(3, 2, 8, 9)
    assert rectangle_to_box(corners[::-1]) == Box(3, 2, 8, 9)
    assert rectangle_to_box(corners[[0, 2]]) == Box(3, 2, 8, 9)


@pytest.mark.parametrize("shape", [(3, 2), (5, 2), (1, 2), (4, 3), (4,)])
def test_a_rectangle_has_four_corners_or_two(shape):
    with pytest.raises(InputError, match="rectangle"):
        rectangle_to_box(np.zeros(shape))


@pytest.mark.parametrize(
    ("start", "end", "options", "expected"),
    [
        ((100, 50), (200, 50), {}, (100, 50 - 50 * math.sqrt(0.5), 200, 50 + 50 * math.sqrt(0.5))),
        ((100, 500), (200, 500), {"axis_ratio": 0.5}, (100, 475, 200, 525)),
        ((150, 400), (150, 500), {"axis_ratio": 0.5}, (125, 400, 175, 500)),
        ((100, 500), (200, 500), {"axis_ratio": 1}, (100, 450, 200, 550)),
        # Rows twice as far apart as columns: half as many of them.
        ((100, 500), (200, 500), {"axis_ratio": 1, "pixel_size_xy": (1, 2)}, (100, 475, 200, 525)),
        ((150, 400), (150, 500), {"axis_ratio": 1, "pixel_size_xy": (1, 2)}, (50, 400, 250, 500)),
        ((-10, 500), (90, 500), {"axis_ratio": 0.5}, (0, 475, 90, 525)),  # over the border
        ((950, 500), (1050, 500), {"axis_ratio": 0.5}, (950, 475, 999, 525)),
    ],
)
def test_a_diameter_along_an_axis_exactly(start, end, options, expected):
    assert values(line_to_box(start, end, WIDE, **options)) == pytest.approx(expected)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(0.2, 1))
def test_a_diameter_gives_the_box_of_its_ellipse(x0, y0, x1, y1, ratio):
    along = np.array([x1 - x0, y1 - y0]) / 2
    if np.linalg.norm(along) < 1:
        return
    across = ratio * np.array([-along[1], along[0]])
    angle = np.linspace(0, 2 * np.pi, 3601)[:, None]
    border = np.array([x0 + x1, y0 + y1]) / 2 + np.cos(angle) * along + np.sin(angle) * across
    expected = np.clip([*border.min(axis=0), *border.max(axis=0)], 0, 999)
    box = line_to_box((x0, y0), (x1, y1), WIDE, axis_ratio=ratio)
    assert values(box) == pytest.approx(expected, abs=1e-3)
    assert line_to_box((x1, y1), (x0, y0), WIDE, axis_ratio=ratio) == box


@pytest.mark.parametrize("ratio", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_the_assumed_ratio_overlaps_with_all_it_stands_for(ratio):
    assumed = line_to_box((300, 500), (700, 500), WIDE)
    true = line_to_box((300, 500), (700, 500), WIDE, axis_ratio=ratio)
    heights = sorted(box.y1 - box.y0 for box in (assumed, true))
    assert heights[0] / heights[1] >= math.sqrt(0.5) - 1e-9


@pytest.mark.parametrize(
    ("start", "end", "options", "said"),
    [
        ((5, 5), (5, 5), {}, "no length"),
        ((-2, 0), (-2, 15), {}, r"outside the slice.*0 to 29.*0 to 19.*Draw it"),
        ((5, math.nan), (5, 5), {}, "not finite"),
        ((1, 1), (5, 5), {"axis_ratio": 0}, "axis_ratio is 0"),
        ((1, 1), (5, 5), {"axis_ratio": 1.5}, "axis_ratio is 1.5"),
        ((1, 1), (5, 5), {"pixel_size_xy": (0, 1)}, "pixel_size_xy"),
    ],
)
def test_a_bad_diameter_is_refused(start, end, options, said):
    with pytest.raises(InputError, match=said):
        line_to_box(start, end, SLICE, **options)


def test_an_upright_ellipse_touches_its_rectangle():
    outline = ellipse_outline([[0, 10], [40, 10], [40, 30], [0, 30]])
    assert outline.min(axis=0) == pytest.approx([0, 10])
    assert outline.max(axis=0) == pytest.approx([40, 30])
    x, y = ((outline - [20, 20]) / [20, 10]).T
    assert x**2 + y**2 == pytest.approx(np.ones(len(outline)))


@given(st.floats(0, 2 * np.pi), st.floats(5, 50), st.floats(5, 50))
def test_a_rotated_ellipse_is_the_upright_one_rotated(angle, a, b):
    corners = np.array([[-a, -b], [a, -b], [a, b], [-a, b]])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = ellipse_outline(corners) @ rotation.T + [7, 9]
    assert ellipse_outline(corners @ rotation.T + [7, 9]) == pytest.approx(expected)


def test_an_ellipse_has_four_corners():
    with pytest.raises(InputError, match="5 corners"):
        ellipse_outline(np.zeros((5, 2)))


def test_the_mask_of_an_ellipse_has_its_area():
    mask = polygon_to_mask(
        ellipse_outline([[20, 30], [180, 30], [180, 90], [20, 90]]) + 0.25, (120, 200)
    )
    assert mask.sum() == pytest.approx(np.pi * 80 * 30, rel=0.01)
    assert mask_to_box(mask) == Box(21, 31, 180, 90)


def test_a_polygon_on_pixel_centres_holds_its_border():
    mask = polygon_to_mask([[2, 3], [5, 3], [5, 4], [2, 4]], SLICE)
    expected = np.zeros(SLICE, bool)
    expected[3:5, 2:6] = True
    assert np.array_equal(mask, expected)


def test_a_polygon_between_pixel_centres_holds_those_inside():
    mask = polygon_to_mask([[1.6, 2.6], [5.4, 2.6], [5.4, 4.4], [1.6, 4.4]], SLICE)
    assert mask_to_box(mask) == Box(2, 3, 5, 4)
    assert mask.sum() == 8


@pytest.mark.parametrize(
    "vertices",
    [
        [[2.2, 2.2], [2.8, 2.2], [2.8, 2.8]],  # between the centres
        [[-9, -9], [-2, -9], [-2, -2]],
        [[99, 2], [120, 2], [120, 9]],
    ],
)
def test_a_polygon_without_centres_is_empty(vertices):
    assert not polygon_to_mask(vertices, SLICE).any()


def test_a_polygon_over_the_border_is_clipped():
    assert polygon_to_mask([[-5, -5], [99, -5], [99, 99], [-5, 99]], SLICE).all()


def test_a_polygon_that_crosses_itself_follows_the_even_odd_rule():
    star = [[50 + 40 * np.sin(a), 50 - 40 * np.cos(a)] for a in np.arange(5) * 0.8 * np.pi]
    mask = polygon_to_mask(star, (100, 100))
    assert mask[20, 50]  # a tip
    assert not mask[50, 50]  # the middle, around which the outline runs twice


@pytest.mark.parametrize(
    "vertices", [[[0, 0], [1, 1]], [[0, 0, 0]] * 3, [[0, 0], [1, 1], [np.inf, 1]]]
)
def test_a_bad_polygon_is_refused(vertices):
    with pytest.raises(InputError, match="outline"):
        polygon_to_mask(vertices, SLICE)


@given(arrays(float, st.tuples(st.integers(3, 9), st.just(2)), elements=COORDINATE))
def test_a_polygon_holds_the_centres_that_opencv_finds_inside(vertices):
    mask = polygon_to_mask(vertices, SLICE)
    contour = np.append(vertices, vertices[:1], axis=0).astype(np.float32)[:, None]
    for row, column in np.ndindex(SLICE):
        distance = cv2.pointPolygonTest(contour, (float(column), float(row)), True)
        if abs(distance) > 1e-3:  # on the border, either answer will do
            assert mask[row, column] == (distance > 0)


@given(arrays(bool, (7, 9)))
def test_the_box_of_a_mask_is_the_smallest_around_it(mask):
    if not mask.any():
        with pytest.raises(InputError, match="empty"):
            mask_to_box(mask)
        return
    box = mask_to_box(mask)
    box.check(mask.shape)
    rows, columns = np.nonzero(mask)
    x0, x1, y0, y1 = columns.min(), columns.max(), rows.min(), rows.max()
    assert (box.x0, box.x1) == ((x0, x1) if x1 > x0 else (x0 - 0.5, x0 + 0.5))
    assert (box.y0, box.y1) == ((y0, y1) if y1 > y0 else (y0 - 0.5, y0 + 0.5))

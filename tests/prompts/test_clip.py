"""Shapes over the slice's border are cut off there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samri.errors import InputError
from napari_samri.prompts import Box
from napari_samri.prompts.clip import clip_box, clip_path

SLICE = (20, 30)  # rows, columns
COORDINATE = st.floats(-40, 60, width=32)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(3, 4, 9, 12.5), Box(3, 4, 9, 12.5)),
        (Box(-5, -7, 99, 99), Box(0, 0, 29, 19)),
        (Box(0, 0, 30, 20), Box(0, 0, 29, 19)),
        (Box(-5, 2, -0.25, 9), Box(-0.5, 2, 0.5, 9)),  # the first column's outer half
        (Box(29.25, 2, 99, 9), Box(28.5, 2, 29.5, 9)),
    ],
)
def test_boxes_end_at_the_last_pixel(box, expected):
    assert clip_box(box, SLICE) == expected


@pytest.mark.parametrize(
    "box", [Box(-9, 2, -1, 9), Box(30, 2, 40, 9), Box(2, -9, 9, -1), Box(2, 20, 9, 30)]
)
def test_boxes_outside_are_refused(box):
    with pytest.raises(InputError, match=r"box.*outside the slice.*0 to 29.*0 to 19.*Draw it"):
        clip_box(box, SLICE)


@pytest.mark.parametrize("box", [Box(3, 3, 3, 9), Box(9, 3, 3, 9), Box(np.nan, 0, 5, 5)])
def test_boxes_without_a_size_stay_so(box):
    with pytest.raises(InputError, match="has no size"):
        clip_box(box, SLICE)


@given(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
def test_a_clipped_box_is_good_and_clipped_for_good(x0, y0, x1, y1):
    try:
        box = clip_box(Box(x0, y0, x1, y1), SLICE)
    except InputError:
        return
    box.check(SLICE)
    assert clip_box(box, SLICE).check(SLICE) is None


@pytest.mark.parametrize(
    ("path", "pieces"),
    [
        ([[1, 1], [5, 5]], [[[1, 1], [5, 5]]]),
        ([[5, 5]], [[[5, 5]]]),
        ([[-5, 5]], []),
        ([[-5, 0], [5, 5e-324]], [[[-0.5, 0], [5, 5e-324]]]),
        ([[-5, 5], [5, 5]], [[[-0.5, 5], [5, 5]]]),
        ([[5, 5], [35, 5], [35, 9], [5, 9]], [[[5, 5], [29.5, 5]], [[29.5, 9], [5, 9]]]),
        ([[-5, 5], [50, 5]], [[[-0.5, 5], [29.5, 5]]]),
        ([[-5, -5], [50, -5], [50, 50]], []),
        ([[5, 5], [9, 5], [9, 40]], [[[5, 5], [9, 5], [9, 19.5]]]),
    ],
)
def test_paths_are_cut_into_pieces(path, pieces):
    found = clip_path(np.array(path, float), SLICE)
    assert [piece.tolist() for piece in found] == pieces


@given(arrays(float, st.tuples(st.integers(1, 8), st.just(2)), elements=COORDINATE))
def test_pieces_are_the_part_of_the_path_on_the_slice(path):
    pieces = clip_path(path, SLICE)
    low, high = [-0.5, -0.5], [29.5, 19.5]
    for piece in pieces:
        assert ((piece >= low) & (piece <= high)).all()
    # Samples of the path, each far enough from the border to be told inside from outside.
    share = np.linspace(0, 1, 101)[:, None]
    samples = np.concatenate([path, *(a + share * (b - a) for a, b in pairwise(path))])
    inside = samples[((samples > np.add(low, 1e-3)) & (samples < np.subtract(high, 1e-3))).all(1)]
    for sample in inside:
        assert min(_distance(sample, piece) for piece in pieces) < 1e-6


def _distance(point, path) -> float:
    if len(path) == 1:
        return float(np.linalg.norm(path[0] - point))
    starts, steps = path[:-1], np.diff(path, axis=0)
    lengths = np.maximum((steps**2).sum(axis=1), 1e-300)
    share = np.clip(((point - starts) * steps).sum(axis=1) / lengths, 0, 1)
    return float(np.linalg.norm(starts + share[:, None] * steps - point, axis=1).min())

"""Scribbles become points that lie on them, within a budget."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samri.errors import InputError
from napari_samri.prompts import Point, Prompt
from napari_samri.prompts.scribble import scribbles_to_points

FRAME = (1024, 1024)  # no scaling: lengths below are those of the frame
UNHURRIED = settings(deadline=None)  # the first scribble loads scikit-image
COORDINATE = st.floats(0, 1023, width=32)
PATH = arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=COORDINATE)


def xy(points) -> np.ndarray:
    return np.array([[point.x, point.y] for point in points]).reshape(-1, 2)


def distances(points, path) -> np.ndarray:
    """Return the distance of each point to the nearest segment of a path."""
    path = np.asarray(path, float)
    if len(path) == 1:
        return np.linalg.norm(points - path, axis=1)
    starts, steps = path[:-1], np.diff(path, axis=0)
    offsets = points[:, None] - starts
    lengths = np.maximum((steps**2).sum(axis=1), 1e-300)
    share = np.clip((offsets * steps).sum(axis=2) / lengths, 0, 1)
    return np.linalg.norm(offsets - share[..., None] * steps, axis=2).min(axis=1)


def turn(path) -> float:
    """Return the sum of all turns of a path in degrees."""
    angles = [math.atan2(y1 - y0, x1 - x0) for (x0, y0), (x1, y1) in pairwise(path)]
    turns = [math.remainder(b - a, 2 * math.pi) for a, b in pairwise(angles)]
    return math.degrees(sum(abs(t) for t in turns))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([[5, 7]], [[5, 7]]),  # a dot
        ([[5, 7], [5, 7], [5, 7]], [[5, 7]]),
        ([[0, 0], [64, 0]], [[0, 0], [32, 0], [64, 0]]),  # ceil(64/32) + 1
        ([[0, 0], [65, 0]], [[0, 0], [65 / 3, 0], [130 / 3, 0], [65, 0]]),
        ([[0, 0], [10, 0]], [[0, 0], [10, 0]]),  # never less than its ends
        ([[0, 0], [1, 0], [3, 0], [64, 0]], [[0, 0], [32, 0], [64, 0]]),  # vertices do not count
        ([[0, 0], [3, 0]], [[0, 0]]),  # its ends are closer than 4
        # A right angle, 64 + 64 long: 5 and one for the bend.
        (
            [[0, 0], [64, 0], [64, 64]],
            [[0, 0], [64 / 3, 0], [128 / 3, 0], [64, 0], [64, 32], [64, 64]],
        ),
    ],
)
def test_small_scribbles_exactly(path, expected):
    points = scribbles_to_points([path], [True], FRAME)
    assert xy(points) == pytest.approx(np.array(expected, float), abs=1e-9)
    assert all(point.positive for point in points)


def test_no_scribbles_no_points():
    assert scribbles_to_points([], [], FRAME) == ()


def test_small_slices_are_scaled_by_their_longest_side():
    path = np.array([[0, 0], [16, 0], [16, 8]], float)
    small = scribbles_to_points([path], [True], (256, 128))
    large = scribbles_to_points([path * 4], [True], (1024, 512))
    assert np.array_equal(xy(small) * 4, xy(large))


def test_a_wobble_is_no_bend():
    x = np.linspace(0, 320, 65)
    wobble = np.stack([x, 500 + 3 * (-1.0) ** np.arange(65)], axis=1)  # within 32 / 4
    length = np.linalg.norm(np.diff(wobble, axis=0), axis=1).sum()
    points = scribbles_to_points([wobble], [True], FRAME, merge=0)
    assert len(points) == math.ceil(length / 32) + 1


def test_ends_and_the_strongest_bends_are_kept():
    path = [[0, 0], [300, 0], [300, 300], [600, 330]]  # a right angle, and one of 84 degrees
    assert math.ceil(turn(path) / 90) == 2
    four = xy(scribbles_to_points([path], [True], FRAME, budget=4))
    assert np.array_equal(four, path)
    three = xy(scribbles_to_points([path], [True], FRAME, budget=3))
    assert np.array_equal(three, np.delete(path, 2, axis=0))


def test_points_between_bends_are_spread_evenly():
    path = np.array([[0, 0], [700, 0], [700, 200]], float)
    points = xy(scribbles_to_points([path], [True], FRAME))
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert [700.0, 0.0] in points.tolist()
    assert gaps.max() < 1.3 * gaps.min()


def test_a_tight_budget_goes_to_middles_then_to_ends_of_the_longest():
    short, long = [[0, 0], [100, 0]], [[0, 500], [1000, 500]]
    for budget, expected in [
        (2, [[50, 0], [500, 500]]),
        (3, [[50, 0], [0, 500], [1000, 500]]),
        (4, [[0, 0], [100, 0], [0, 500], [1000, 500]]),
    ]:
        points = scribbles_to_points([short, long], [True, True], FRAME, budget=budget)
        assert np.array_equal(xy(points), expected)


def test_the_rest_is_shared_by_what_is_lacking():
    # They ask for 5 and 33 points and get 2 each; 16 are shared as 3 to 31: 1.41 and 14.59.
    short, long = [[0, 0], [128, 0]], [[0, 500], [1023, 500]]
    points = xy(scribbles_to_points([short, long], [True, True], FRAME, budget=20))
    assert (points[:, 1] == 0).sum() == 2 + 1
    assert (points[:, 1] == 500).sum() == 2 + 15


def test_close_points_of_one_sign_are_merged_and_bends_survive():
    first, second = [[0, 0], [64, 0]], [[33, 0], [33, 64]]
    same = scribbles_to_points([first, second], [True, True], FRAME)
    assert Point(32, 0) not in same
    assert Point(33, 0) in same  # the end of a scribble, not a point in between
    other = scribbles_to_points([first, second], [True, False], FRAME)
    assert Point(32, 0) in other
    assert Point(33, 0, positive=False) in other


def test_a_closed_scribble_has_one_point_where_it_closes():
    square = [[0, 0], [64, 0], [64, 64], [0, 64], [0, 0]]
    points = xy(scribbles_to_points([square], [True], FRAME)).tolist()
    assert points.count([0, 0]) == 1
    assert all(corner in points for corner in ([64, 0], [64, 64], [0, 64]))


def test_a_scribble_may_cross_itself_at_a_vertex():
    eight = np.array([[0, 0], [50, 50], [100, 0], [100, 100], [50, 50], [0, 100]], float)
    points = xy(scribbles_to_points([eight], [True], FRAME))
    assert distances(points, eight).max() < 1e-9


def test_negative_scribbles_alone_are_left_to_the_prompt():
    points = scribbles_to_points([[[0, 0], [64, 0]]], [False], FRAME)
    assert len(points) == 3
    with pytest.raises(InputError, match="all points are negative"):
        Prompt(points=points).check(FRAME)


@pytest.mark.parametrize(
    ("strokes", "signs", "options", "said"),
    [
        ([[[0, 0]]], [], {}, "1 scribbles, but 0 signs"),
        ([[]], [True], {}, "at least 1 point"),
        ([[[0, 0, 0]]], [True], {}, r"\(1, 3\); expected \(N, 2\)"),
        ([[[0, math.nan]]], [True], {}, "not finite"),
        ([[[0, 0]]] * 65, [True] * 65, {}, "65 scribbles.*at most 64.*Erase"),
        ([[[0, 0]]], [True], {"spacing": 0}, "spacing is 0"),
        ([[[0, 0]]], [True], {"merge": -1}, "merge is -1"),
        ([[[0, 0]]], [True], {"merge": math.nan}, "merge is nan"),
    ],
)
def test_what_makes_no_sense_is_refused(strokes, signs, options, said):
    with pytest.raises(InputError, match=said):
        scribbles_to_points(strokes, signs, FRAME, **options)


@UNHURRIED
@given(st.lists(st.tuples(PATH, st.booleans()), max_size=8), st.integers(8, 64))
def test_points_lie_on_their_scribbles_within_the_budget(drawn, budget):
    strokes, signs = [path for path, _ in drawn], [sign for _, sign in drawn]
    points = scribbles_to_points(strokes, signs, FRAME, budget=budget)
    assert len(points) <= budget
    assert {p.positive for p in points} == set(signs)
    for sign in set(signs):
        mine = xy(p for p in points if p.positive is sign)
        gaps = [distances(mine, path) for path, own in drawn if own is sign]
        assert np.min(gaps, axis=0).max() < 1e-3
        apart = np.linalg.norm(mine[:, None] - mine, axis=2)[np.triu_indices(len(mine), 1)]
        assert (apart >= 4).all()


@UNHURRIED
@given(PATH, st.integers(2, 64))
def test_one_scribble_keeps_its_ends(path, budget):
    points = xy(scribbles_to_points([path], [True], FRAME, budget=budget, merge=0))
    assert points[0] == pytest.approx(path[0])
    assert points[-1] == pytest.approx(path[-1])


@UNHURRIED
@given(PATH)
def test_a_scribble_with_room_has_no_gap_wider_than_the_spacing(path):
    points = xy(scribbles_to_points([path], [True], FRAME, budget=10_000, merge=0))
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    # Bends divide the way unevenly: between two, a gap may be up to the even one twice.
    assert not len(gaps) or gaps.max() <= 64 + 1e-6


@UNHURRIED
@given(st.permutations(range(4)))
def test_the_order_of_scribbles_far_apart_makes_no_difference(order):
    strokes = [[[0, 200 * n], [150 * n + 30, 200 * n + 90]] for n in range(4)]
    signs = [True, False, True, True]
    expected = set(scribbles_to_points(strokes, signs, FRAME))
    mixed = [strokes[n] for n in order], [signs[n] for n in order]
    assert set(scribbles_to_points(*mixed, FRAME)) == expected
    few = set(scribbles_to_points(strokes, signs, FRAME, budget=12))
    assert set(scribbles_to_points(*mixed, FRAME, budget=12)) == few


@UNHURRIED
@given(PATH)
def test_points_are_the_same_from_either_end(path):
    forth = xy(scribbles_to_points([path], [True], FRAME, budget=2))
    back = xy(scribbles_to_points([path[::-1]], [True], FRAME, budget=2))
    if len(forth) == 2:
        assert forth == pytest.approx(back[::-1])


def test_a_path_that_passes_its_vertices_many_times_ends_where_it_ends() -> None:
    """Corners are found in their order, whichever passage of a vertex they are."""
    loop = [(10, 10), (90, 10), (90, 90), (10, 90)]
    points = scribbles_to_points([loop * 300 + [(10, 10), (50, 50)]], [True], (100, 100))
    assert (points[-1].x, points[-1].y) == (50, 50)
    assert (points[0].x, points[0].y) == (10, 10)


def test_options_as_scripts_have_them() -> None:
    """Numbers of NumPy are taken, and a text is refused in words: 'no' is not True."""
    stroke = [[(10, 10), (400, 90), (90, 300)]]
    options = {"spacing": np.float32(40), "budget": np.int64(5), "merge": np.uint8(3)}
    expected = scribbles_to_points(stroke, [True], FRAME, spacing=40.0, budget=5, merge=3.0)
    assert scribbles_to_points(stroke, [np.True_], FRAME, **options) == expected
    for name, value in {"spacing": "32", "budget": 5.5, "merge": None}.items():
        with pytest.raises(InputError, match=f"{name} is .*; expected a"):
            scribbles_to_points(stroke, [True], FRAME, **{name: value})
    with pytest.raises(InputError, match="positive is 'no'"):
        scribbles_to_points(stroke, ["no"], FRAME)

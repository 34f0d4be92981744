"""Prompts made from masks, on the rules that every mask and every number has to keep."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from napari_samri import simulate

MASKS = stn.arrays(bool, (3, 9, 9)).filter(lambda m: m.any(axis=(1, 2)).all())
WIDE = stn.arrays(bool, (3, 5, 8)).filter(lambda m: m.any(axis=(1, 2)).all())
NUMBERS = stn.arrays(np.float32, (3, 6), elements=st.floats(0, 0.9990234375, width=32))


@given(st.one_of(MASKS, WIDE))
def test_boxes_are_tight(masks: np.ndarray) -> None:
    for mask, box in zip(masks, simulate.tight_boxes(torch.tensor(masks)).tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max(), rows.max()]


@given(st.one_of(MASKS, WIDE), NUMBERS)
def test_points_lie_in_their_masks_and_reach_every_pixel(
    masks: np.ndarray, numbers: np.ndarray
) -> None:
    points = simulate.points_within(torch.tensor(masks), torch.tensor(numbers[:, 0]))
    for mask, (x, y) in zip(masks, points.int().tolist(), strict=True):
        assert mask[y, x]
    mask = torch.tensor(masks[:1])
    count = int(mask.sum())
    every = simulate.points_within(mask.expand(count, -1, -1), (torch.arange(count) + 0.5) / count)
    assert len({tuple(point) for point in every.tolist()}) == count


@given(MASKS, MASKS, NUMBERS)
def test_corrections_lie_in_the_errors(
    predicted: np.ndarray, truth: np.ndarray, numbers: np.ndarray
) -> None:
    points, labels = simulate.corrections(
        torch.tensor(predicted), torch.tensor(truth), torch.tensor(numbers[:, :2])
    )
    assert labels.tolist() == [[1, 0]] * 3
    for answer, mask, ((px, py), (nx, ny)) in zip(
        predicted, truth, points.int().tolist(), strict=True
    ):
        missed, spilled = mask & ~answer, answer & ~mask
        assert missed[py, px] or (not missed.any() and mask[py, px])
        if spilled.any():
            assert spilled[ny, nx]
        elif not mask.all():
            assert not mask[ny, nx]


@given(MASKS, NUMBERS, st.floats(0, 6), st.floats(0, 9))
def test_jittered_boxes_stay_in_the_frame_and_near(
    masks: np.ndarray, numbers: np.ndarray, reach: float, start: float
) -> None:
    tight = simulate.tight_boxes(torch.tensor(masks))
    moved = simulate.jitter_boxes(tight, torch.tensor(numbers[:, :4]), reach, start, 9)
    assert (moved[:, :2] <= moved[:, 2:]).all()
    assert moved.min() >= 0
    assert moved.max() <= 8
    short = (tight[:, 2:] - tight[:, :2] + 1) <= start
    assert (moved[:, :2] == tight[:, :2])[short].all()
    inside = (tight[:, 2:] - tight[:, :2] >= 2 * reach).all(dim=1)  # no two sides can swap
    assert ((moved - tight).abs()[inside] <= reach + 1e-4).all()


@given(MASKS, NUMBERS, st.integers(0, 5), st.floats(0, 0.5))
def test_grown_boxes_hold_their_objects(
    masks: np.ndarray, numbers: np.ndarray, reach: int, share: float
) -> None:
    tight = simulate.tight_boxes(torch.tensor(masks))
    grown = simulate.grown_boxes(tight, torch.tensor(numbers[:, :4]), reach, share, 9)
    assert (grown[:, :2] <= tight[:, :2]).all()
    assert (grown[:, 2:] >= tight[:, 2:]).all()
    assert grown.min() >= 0
    assert grown.max() <= 8
    furthest = reach + share * (tight[:, 2:] - tight[:, :2] + 1).repeat(1, 2)
    assert ((grown - tight).abs() <= furthest + 1e-4).all()


def test_a_box_moves_outwards_by_every_whole_number() -> None:
    box = torch.tensor([[100.0, 100, 140, 140]]).expand(2100, -1)
    numbers = torch.linspace(0, 1 - 1e-6, 2100)[:, None].expand(-1, 4)
    moved = simulate.grown_boxes(box, numbers, 20, 0, 256)
    assert sorted(set(moved[:, 0].tolist())) == list(range(80, 101))
    assert sorted(set(moved[:, 3].tolist())) == list(range(140, 161))


def test_a_box_thinner_than_a_low_resolution_pixel_stays_as_it_is() -> None:
    # One pixel of a slice of 512: from 50 to 50.5 low-resolution pixels, the last end inside.
    box = torch.tensor([[50.0, 30, 49.5, 90]])
    moved = simulate.jitter_boxes(box, torch.full((1, 4), 0.7), 5, 20, 256)
    assert moved[0, [0, 2]].tolist() == [50, 49.5]
    assert moved[0, 3] == 92


@given(MASKS, NUMBERS, st.floats(0, 6))
def test_moved_sides_are_near(masks: np.ndarray, numbers: np.ndarray, reach: float) -> None:
    tight = simulate.tight_boxes(torch.tensor(masks))
    moved = simulate.move_sides(tight, torch.tensor(numbers[:, :4]), reach)
    assert ((moved - tight).abs() <= reach + 1e-4).all()
    torch.testing.assert_close(
        simulate.move_sides(tight, torch.full((4,), 0.75), simulate.box_extents(tight)),
        tight + 0.5 * (tight[:, [2, 3, 2, 3]] - tight[:, [0, 1, 0, 1]] + 1),
    )


@given(st.one_of(MASKS, WIDE), st.integers(0, 99))
def test_random_points_lie_in_their_masks(masks: np.ndarray, seed: int) -> None:
    points = simulate.random_points(torch.tensor(masks), torch.Generator().manual_seed(seed))
    for mask, (x, y) in zip(masks, points.int().tolist(), strict=True):
        assert mask[y, x]


def test_an_error_point_lies_in_the_error() -> None:
    truth = torch.zeros(3, 16, 16, dtype=torch.bool)
    truth[:, 4:8, 4:8] = True
    predicted = truth.clone()
    predicted[0, 4:8, 4:6] = False  # misses
    predicted[1, 10:12, 10:12] = True  # spills
    points, labels = simulate.error_points(predicted, truth, torch.Generator().manual_seed(0))
    x, y = points[:, 0].long().unbind(-1)
    assert labels[:, 0].tolist() == [1, 0, 1]
    assert truth[0, y[0], x[0]]
    assert not predicted[0, y[0], x[0]]
    assert predicted[1, y[1], x[1]]
    assert not truth[1, y[1], x[1]]

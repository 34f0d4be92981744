"""Epochs: every mask in its share, the same for every rank."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.errors import InputError
from napari_samri.training.plan import EpochPlan, Group, micro_batches, share_of

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


def make_plan(sizes: list[int], **options: object) -> EpochPlan:
    """Make a plan of data sets of so many masks, two on each slice."""
    count = sum(sizes)
    return EpochPlan(
        row=np.arange(count) // 2,
        label=1 + np.arange(count) % 2,
        dataset=np.repeat(np.arange(len(sizes)), sizes),
        **{"batch": 8, **options},
    )


@given(SIZES, st.integers(1, 30), st.integers(1, 5), st.integers(0, 3))
def test_each_data_set_gives_its_quota(
    sizes: list[int], quota: int, together: int, epoch: int
) -> None:
    plan = make_plan(sizes, quota=quota, masks_per_slice=together)
    groups = [group for batch in plan.batches(epoch) for group in batch]
    times = Counter(2 * group.row + label - 1 for group in groups for label in group.labels)
    bounds = np.cumsum([0, *sizes])
    for begin, end in itertools.pairwise(bounds):
        counts = [times[pair] for pair in range(begin, end)]
        assert sum(counts) == quota
        assert max(counts) - min(counts) <= 1
    places = sorted(place for group in groups for place in group.samples)
    assert places == [*range(plan.samples)]
    assert max(len(group.labels) for group in groups) <= together


@given(SIZES, st.integers(0, 3))
def test_without_a_quota_every_mask_comes_once(sizes: list[int], epoch: int) -> None:
    plan = make_plan(sizes)
    groups = [group for batch in plan.batches(epoch) for group in batch]
    found = sorted((group.row, label) for group in groups for label in group.labels)
    assert found == sorted(zip(plan.row.tolist(), plan.label.tolist(), strict=True))


@given(st.integers(1, 200), st.integers(1, 40))
def test_batches_are_about_as_large_as_asked(masks: int, batch: int) -> None:
    plan = make_plan([masks], batch=batch, masks_per_slice=2)
    sizes = [sum(len(group.labels) for group in part) for part in plan.batches(0)]
    even = masks / max(1, round(masks / batch))
    assert all(even - 2 <= size <= even + 2 for size in sizes)


def test_epochs_differ_and_come_again() -> None:
    plan = make_plan([20, 30])
    assert plan.batches(0) == make_plan([20, 30]).batches(0)
    assert plan.batches(0) != plan.batches(1)
    assert plan.batches(0) != make_plan([20, 30], seed=1).batches(0)
    assert not np.array_equal(plan.numbers(0, 3), plan.numbers(1, 3))
    np.testing.assert_array_equal(plan.numbers(5, 3), make_plan([20, 30]).numbers(5, 3))


@given(st.integers(1, 5), st.integers(1, 9))
def test_ranks_and_pieces_share_a_batch_without_loss(ranks: int, most: int) -> None:
    batch = make_plan([33], batch=33, masks_per_slice=2).batches(0)[0]
    pieces = [
        piece
        for rank in range(ranks)
        for piece in micro_batches(share_of(batch, rank, ranks), most)
    ]
    assert _masks(group for piece in pieces for group in piece) == _masks(batch)
    assert all(sum(len(group.labels) for group in piece) <= most for piece in pieces)


def _masks(groups: Iterable[Group]) -> list[tuple[int, int, int]]:
    return sorted(
        (sample, group.row, label)
        for group in groups
        for sample, label in zip(group.samples, group.labels, strict=True)
    )


def test_nothing_to_train_on_is_refused() -> None:
    nothing = np.zeros(0, np.int64)
    with pytest.raises(InputError, match="no masks"):
        EpochPlan(nothing, nothing, nothing, batch=8)
    with pytest.raises(InputError, match="at least 1"):
        make_plan([3], batch=0)


def test_copies_of_slices_come_in_equal_shares_and_change_nothing_else() -> None:
    table = np.arange(4000), np.ones(4000, int), np.zeros(4000, int)
    plain, copied = (EpochPlan(*table, batch=100, seed=1, copies=copies) for copies in (0, 3))
    groups = [group for batch in copied.batches(0) for group in batch]
    assert [g.row for g in groups] == [g.row for batch in plain.batches(0) for g in batch]
    assert all(abs(count - 1000) < 120 for count in np.bincount([g.turn for g in groups]))
    turns = [group.turn for group in groups]
    assert turns == [g.turn for batch in copied.batches(0) for g in batch]
    assert turns != [g.turn for batch in copied.batches(1) for g in batch]
    [[first], [second]] = micro_batches([Group(0, (1, 2), (0, 1), 3)], 1)
    assert (first.turn, second.turn) == (3, 3)

"""Who is in which split."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.datasets import DataSet, Manifest, Rules
from napari_samri.datasets.rules import split_of
from napari_samri.errors import InputError
from tests.datasets.test_manifest import a_study

PEOPLE = [f"sub-{n:04}" for n in range(5000)]


def test_shares_are_met():
    counts = Counter(split_of(name, Rules()) for name in PEOPLE)
    # three standard deviations of a binomial distribution
    assert abs(counts["train"] - 4000) < 3 * (5000 * 0.8 * 0.2) ** 0.5
    assert abs(counts["validation"] - 500) < 3 * (5000 * 0.1 * 0.9) ** 0.5
    assert abs(counts["test"] - 500) < 3 * (5000 * 0.1 * 0.9) ** 0.5


def test_a_patient_stays_for_good():
    """Written down: a change of the hash would move people from test to training."""
    found = {name: split_of(name, Rules()) for name in ("sub-0000", "sub-0001", "sub-0009")}
    assert found == {"sub-0000": "test", "sub-0001": "train", "sub-0009": "validation"}


def test_seeds_differ():
    one, other = ([split_of(name, Rules(seed=seed)) for name in PEOPLE] for seed in (0, 1))
    agree = sum(a == b for a, b in zip(one, other, strict=True)) / len(PEOPLE)
    assert abs(agree - (0.8**2 + 2 * 0.1**2)) < 0.03  # as often as by chance


@given(st.text(), st.integers(0, 99), st.sampled_from([(1, 0, 0), (0, 2, 0), (0, 0, 0.1)]))
def test_shares_of_zero_get_nobody(name, seed, shares):
    train, validation, test = shares
    rules = Rules(train=train, validation=validation, test=test, seed=seed)
    expected = ("train", "validation", "test")[[bool(share) for share in shares].index(True)]
    assert split_of(name, rules) == expected


@given(st.text(), st.floats(0.01, 100))
def test_only_the_ratio_of_shares_counts(name, factor):
    scaled = Rules(train=80 * factor, validation=10 * factor, test=10 * factor)
    assert split_of(name, scaled) == split_of(name, Rules())


@pytest.mark.parametrize(
    "shares", [(0, 0, 0), (-1, 1, 1), (float("nan"), 1, 1), (float("inf"), 1, 1)]
)
def test_shares_that_make_no_sense(shares):
    train, validation, test = shares
    with pytest.raises(InputError, match="expected three shares"):
        Rules(train=train, validation=validation, test=test)


def test_empty_splits():
    data = DataSet("a", "/a", "pairs")
    manifest = Manifest((data,), (a_study("train"),))
    assert manifest.empty_splits == ("validation", "test")
    assert Manifest((data,), (a_study("train"),), Rules(test=0)).empty_splits == ("validation",)
    held_out = DataSet("a", "/a", "pairs", zero_shot=True)
    assert Manifest((held_out,), (a_study("zero-shot"),)).empty_splits == ()

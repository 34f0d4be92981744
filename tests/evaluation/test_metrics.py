"""Metrics against SciPy's dissimilarities, against what training computes, and by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.spatial import distance

from napari_samri.errors import InputError
from napari_samri.evaluation import (
    METRICS,
    Metric,
    dice,
    find_metric,
    iou,
    register_metric,
    unregister_metric,
)
from napari_samri.training.losses import mask_dice, mask_iou

PAIRS = st.sampled_from([(5, 7), (3, 4, 5)]).flatmap(lambda s: stn.arrays(bool, (2, *s)))


@given(PAIRS)
def test_overlaps_are_those_of_scipy(pair: np.ndarray) -> None:
    one, other = pair
    if not pair.any():
        assert math.isnan(dice(one, other))
        assert math.isnan(iou(one, other))
        return
    flat = one.ravel(), other.ravel()
    assert dice(one, other) == pytest.approx(1 - distance.dice(*flat))
    assert iou(one, other) == pytest.approx(1 - distance.jaccard(*flat))


def test_one_empty_mask_has_no_overlap() -> None:
    full, empty = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    for measure in (dice, iou):
        assert measure(full, empty) == measure(empty, full) == 0


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(1, 4\).*\(4, 4\)"):
        dice(np.ones((1, 4)), np.ones((4, 4)))


@given(stn.arrays(bool, (2, 3, 5, 7)))
def test_training_measures_the_same(pairs: np.ndarray) -> None:
    masks, truth = torch.from_numpy(pairs)
    expected = [dice(one, other) for one, other in zip(*pairs, strict=True)]
    np.testing.assert_allclose(mask_dice(masks, truth), expected, rtol=1e-6)
    expected = [iou(one, other) for one, other in zip(*pairs, strict=True)]
    found = mask_iou(masks.float() - 0.5, truth.float())
    np.testing.assert_allclose(found, np.nan_to_num(expected), rtol=1e-6)


def test_metrics_by_name() -> None:
    mask, truth = np.eye(4, dtype=bool), np.ones((4, 4), bool)
    assert find_metric("dice").measure(mask, truth, (1, 1)) == dice(mask, truth)
    assert find_metric("iou").measure(mask, truth, (1, 1)) == iou(mask, truth)
    with pytest.raises(InputError, match=r"dise.*dice, iou"):
        find_metric("dise")


def test_a_registered_metric_hides_no_other() -> None:
    mine = Metric("area", lambda mask, truth, spacing_mm: float(mask.sum() * math.prod(spacing_mm)))
    register_metric(mine)
    try:
        assert find_metric("area").measure(np.ones((2, 2), bool), np.ones(4), (0.5, 2)) == 4
        with pytest.raises(InputError, match="'area' exists"):
            register_metric(Metric("area", dice))
        with pytest.raises(InputError, match="'dice' exists"):
            register_metric(Metric("dice", iou))
    finally:
        unregister_metric(mine)
    assert list(METRICS.known()) == ["dice", "iou"]

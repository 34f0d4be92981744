"""Losses against values worked out by hand, and gradients that stay finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from napari_samri.training.losses import dice_loss, focal_loss, mask_iou

if TYPE_CHECKING:
    from collections.abc import Callable

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LOSSES = [focal_loss, dice_loss]


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def mask(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize("alpha", [0.25, 0.75, -1.0])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.0])
def test_focal_by_hand(alpha: float, gamma: float) -> None:
    probabilities = [0.9, 0.2, 0.6, 0.05]
    truth = [1.0, 1.0, 0.0, 0.0]
    by_hand = 0.0
    for p, t in zip(probabilities, truth, strict=True):
        right = p if t else 1 - p
        weight = 1.0 if alpha < 0 else (alpha if t else 1 - alpha)
        by_hand += -weight * (1 - right) ** gamma * math.log(right) / 4
    logits = torch.tensor([logit(p) for p in probabilities]).reshape(2, 2)
    loss = focal_loss(logits, torch.tensor(truth).reshape(2, 2), alpha, gamma)
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_dice_by_hand() -> None:
    # Probabilities 0.5 and 0.8 on truth 1 and 0; overlap 0.5, squares 0.25 + 0.64 + 1.
    logits = mask([logit(0.5), logit(0.8)])
    target = mask([1.0, 0.0])
    expected = 1 - (2 * 0.5 + 1) / (0.25 + 0.64 + 1 + 1)
    assert dice_loss(logits, target).item() == pytest.approx(expected, rel=1e-6)
    without = 1 - (2 * 0.5) / (0.25 + 0.64 + 1)
    assert dice_loss(logits, target, smooth=0.0).item() == pytest.approx(without, rel=1e-6)


@pytest.mark.parametrize(
    ("logits", "target", "expected"),
    [
        (mask([5.0, 5.0, -5.0]), mask([1.0, 0.0, 0.0]), 1 / 2),
        (mask([5.0, -5.0, -5.0]), mask([1.0, 1.0, 1.0]), 1 / 3),
        (mask([5.0, 5.0, 5.0]), mask([1.0, 1.0, 1.0]), 1),
        (mask([5.0, -5.0, -5.0]), mask([0.0, 1.0, 0.0]), 0),
        (mask([-5.0, -5.0, -5.0]), mask([0.0, 0.0, 0.0]), 0),
        (mask([0.0, -5.0, -5.0]), mask([1.0, 0.0, 0.0]), 0),
    ],
    ids=["half", "third", "equal", "apart", "both empty", "logit 0 is outside"],
)
def test_iou_by_hand(logits: torch.Tensor, target: torch.Tensor, expected: float) -> None:
    assert mask_iou(logits, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [*LOSSES, mask_iou])
def test_one_value_per_mask(loss: Loss) -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 3, 8, 9)
    target = (torch.rand(2, 3, 8, 9) > 0.5).float()
    values = loss(logits, target)
    assert values.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            assert torch.allclose(values[i, j], loss(logits[i, j], target[i, j]))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_better_mask_costs_less(loss: Loss) -> None:
    target = torch.zeros(16, 16)
    target[4:12, 4:12] = 1
    scaled = [loss(scale * (2 * target - 1), target).item() for scale in (-8, -1, 0, 1, 8)]
    assert scaled == sorted(scaled, reverse=True)
    assert len(set(scaled)) == 5
    perfect = loss(1e3 * (2 * target - 1), target).item()
    assert perfect == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("empty", [0.0, 1.0])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_stay_finite(loss: Loss, size: float, empty: float) -> None:
    signs = torch.tensor([[1.0, -1.0], [0.0, 1.0]])
    for target in (torch.full((2, 2), empty), torch.eye(2)):
        logits = (signs * size).requires_grad_()
        value = loss(logits, target)
        value.backward()
        assert torch.isfinite(value)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_against_differences(loss: Loss) -> None:
    torch.manual_seed(2)
    logits = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(4, 4) > 0.5).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


def test_iou_has_no_gradient() -> None:
    assert not mask_iou(torch.ones(2, 2, requires_grad=True), torch.ones(2, 2)).requires_grad

"""Losses and scores of promptable segmentation, one value per mask.

One value per mask, not per batch: accumulated small batches then equal one large batch.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def focal_loss(
    logits: torch.Tensor, target: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> torch.Tensor:
    """Return the mean focal loss of each mask.

    Parameters
    ----------
    logits, target : tensor (..., H, W)
        `target` holds 0 and 1, as floats.
    alpha, gamma : float
        Weight of the foreground and focusing exponent; a negative `alpha` means no weight.

    Returns
    -------
    tensor (...)

    References
    ----------
    Lin et al., Focal loss for dense object detection, 2017,
    https://doi.org/10.1109/ICCV.2017.324
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    loss = entropy * (-torch.expm1(-entropy)) ** gamma
    if alpha >= 0:
        loss = loss * (1 - alpha + (2 * alpha - 1) * target)
    return loss.mean(dim=(-2, -1))


def dice_loss(logits: torch.Tensor, target: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    """Return 1 - Dice of each mask, with squared terms in the denominator.

    Parameters
    ----------
    logits, target : tensor (..., H, W)
    smooth : float
        Added to numerator and denominator; two empty masks then have no loss.

    Returns
    -------
    tensor (...)

    References
    ----------
    Milletari et al., V-Net, 2016, https://doi.org/10.1109/3DV.2016.79
    """
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(-2, -1))
    total = (probability**2).sum(dim=(-2, -1)) + (target**2).sum(dim=(-2, -1))
    return 1 - (2 * overlap + smooth) / (total + smooth)


def mask_dice(masks: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the Dice coefficient (N,) of bool masks (N, H, W); NaN where both are empty."""
    overlap = (masks & truth).sum(dim=(1, 2))
    return 2 * overlap / (masks.sum(dim=(1, 2)) + truth.sum(dim=(1, 2)))


def mask_iou(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union of (logits > 0) with each target, without gradient.

    Two empty masks have an IoU of 0.
    """
    with torch.no_grad():
        mask = logits > 0
        truth = target > 0.5
        overlap = (mask & truth).sum(dim=(-2, -1))
        union = (mask | truth).sum(dim=(-2, -1))
        return overlap / union.clamp(min=1)

"""Prompts drawn from target masks, in the pixels of the model's input.

Boxes are (x0, y0, x1, y1) with both corners inside the object, points (x, y); as tensors.
"""

from __future__ import annotations

import torch


def tight_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return the inclusive bounding boxes (K, 4) of masks (K, S, S); none may be empty."""
    size = masks.shape[-1]
    columns, rows = masks.any(dim=-2).float(), masks.any(dim=-1).float()
    return torch.stack(
        [
            columns.argmax(dim=-1),
            rows.argmax(dim=-1),
            size - 1 - columns.flip(-1).argmax(dim=-1),
            size - 1 - rows.flip(-1).argmax(dim=-1),
        ],
        dim=-1,
    ).float()


def jitter_boxes(
    boxes: torch.Tensor, fraction: float, limit: float, generator: torch.Generator
) -> torch.Tensor:
    """Move each side by up to `fraction` of the box's extent, at most `limit` pixels."""
    extent = (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)
    reach = (fraction * extent).clamp(max=limit)
    shift = torch.rand(boxes.shape, generator=generator) * 2 - 1
    return boxes + shift.to(boxes.device) * reach


def random_points(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return one pixel (K, 2) of each mask (K, S, S), as (x, y); of an empty mask any pixel."""
    size = masks.shape[-1]
    weights = masks.flatten(1).float()
    weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, 1.0)
    noise = torch.rand(weights.shape, generator=generator).to(weights.device)
    index = (weights * noise).argmax(dim=1)
    return torch.stack([index % size, index // size], dim=-1).float()


def correction_points(
    predicted: torch.Tensor, truth: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a point in each mask's error: positive where it misses, negative where it spills.

    Parameters
    ----------
    predicted, truth : bool tensor (K, S, S)
    generator : torch.Generator

    Returns
    -------
    points : tensor (K, 1, 2)
        (x, y). Where a mask has no error, a point of the object.
    labels : tensor (K, 1)
        1 positive, 0 negative.
    """
    wrong = predicted ^ truth
    area = torch.where(wrong.flatten(1).any(1)[:, None, None], wrong, truth)
    points = random_points(area, generator)
    x, y = points.long().unbind(-1)
    labels = truth[torch.arange(len(truth), device=truth.device), y, x].float()
    return points[:, None], labels[:, None]

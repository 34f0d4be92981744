"""Points on masks, and points that correct an answer; many at once, on the masks' device.

Points are (x, y) in the pixels of their masks (N, H, W); labels are 1 on the object, 0 off it.
"""

from __future__ import annotations

import torch

from napari_samri.simulate.boxes import tight_boxes

_BACKGROUND_MARGIN = 3


def points_within(masks: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Return one pixel (N, 2) of each mask: the one at this share (N,) of its raster order.

    Of an empty mask, the first pixel of all.
    """
    counted = masks.flatten(1).cumsum(dim=1, dtype=torch.int32)
    total = counted[:, -1:]
    rank = (numbers[:, None] * total).floor().clamp(max=total - 1) + 1
    return _as_points((counted >= rank).int().argmax(dim=1), masks.shape[-1])


def random_points(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return one pixel (N, 2) of each mask, by a number drawn per pixel; of an empty mask any."""
    weights = masks.flatten(1).float()
    weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, 1.0)
    noise = torch.rand(weights.shape, generator=generator).to(weights.device)
    return _as_points((weights * noise).argmax(dim=1), masks.shape[-1])


def corrections(
    predicted: torch.Tensor, truth: torch.Tensor, numbers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a positive and a negative point for each mask, as a person would correct it.

    The positive point lies where the answer misses the mask; if it misses nothing, anywhere in
    the mask. The negative one lies where it spills; if it does not, beside the mask within its
    bounding box grown by 3 pixels, or else anywhere outside.

    Parameters
    ----------
    predicted, truth : bool tensor (N, H, W)
    numbers : tensor (N, 2)
        Uniform in [0, 1).

    Returns
    -------
    points : tensor (N, 2, 2)
    labels : tensor (N, 2)
        1 and 0.
    """
    missed = _first_filled(truth & ~predicted, truth)
    beside = _around(truth) & ~truth
    spilled = _first_filled(predicted & ~truth, beside, ~truth)
    points = torch.stack(
        [points_within(missed, numbers[:, 0]), points_within(spilled, numbers[:, 1])], dim=1
    )
    labels = torch.tensor([1.0, 0.0], device=truth.device).expand(len(truth), 2)
    return points, labels


def error_points(
    predicted: torch.Tensor, truth: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one point in each mask's error: positive where it misses, negative where it spills.

    Parameters
    ----------
    predicted, truth : bool tensor (N, H, W)
    generator : torch.Generator

    Returns
    -------
    points : tensor (N, 1, 2)
        Where a mask has no error, a point of the object.
    labels : tensor (N, 1)
        1 positive, 0 negative.
    """
    points = random_points(_first_filled(predicted ^ truth, truth), generator)
    x, y = points.long().unbind(-1)
    labels = truth[torch.arange(len(truth), device=truth.device), y, x].float()
    return points[:, None], labels[:, None]


def _as_points(index: torch.Tensor, size: int) -> torch.Tensor:
    """Return places in the raster order of slices `size` wide as points (N, 2)."""
    return torch.stack([index % size, index // size], dim=-1).float()


def _first_filled(*choices: torch.Tensor) -> torch.Tensor:
    """Return, of each sample, the first of these masks that is not empty, or else the last."""
    result = choices[-1]
    for choice in reversed(choices[:-1]):
        result = torch.where(choice.flatten(1).any(dim=1)[:, None, None], choice, result)
    return result


def _around(masks: torch.Tensor) -> torch.Tensor:
    """Return the bounding boxes of masks as masks, grown by a margin."""
    boxes = tight_boxes(masks)
    rows, columns = (torch.arange(size, device=masks.device) for size in masks.shape[-2:])
    low, high = boxes[:, :2] - _BACKGROUND_MARGIN, boxes[:, 2:] + _BACKGROUND_MARGIN
    across = (columns >= low[:, :1]) & (columns <= high[:, :1])
    down = (rows >= low[:, 1:]) & (rows <= high[:, 1:])
    return down[:, :, None] & across[:, None, :]

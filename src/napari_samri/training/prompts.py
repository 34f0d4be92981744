"""Prompts drawn from target masks, many at once, on the device that trains.

All chance comes in as uniform numbers, a row per sample, so that a sample gets the same prompts
whatever batch, rank or device it lands on. Masks are (N, L, L), points (x, y), boxes
(x0, y0, x1, y1) with both ends inside; all in low-resolution pixels.
"""

from __future__ import annotations

import torch

# Uniform numbers per sample for the first prompt, and per correction.
FIRST_NUMBERS = 6
STEP_NUMBERS = 3
_BACKGROUND_MARGIN = 3


def numbers_needed(n_steps: int) -> int:
    """Return how many uniform numbers a sample needs."""
    return FIRST_NUMBERS + n_steps * STEP_NUMBERS


def tight_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return the bounding boxes (N, 4) of masks, none of which may be empty."""
    size = masks.shape[-1]
    columns, rows = masks.any(dim=-2).float(), masks.any(dim=-1).float()
    sides = (
        columns.argmax(dim=-1),
        rows.argmax(dim=-1),
        size - 1 - columns.flip(-1).argmax(dim=-1),
        size - 1 - rows.flip(-1).argmax(dim=-1),
    )
    return torch.stack(sides, dim=-1).float()


def jitter_boxes(
    boxes: torch.Tensor, numbers: torch.Tensor, reach: float, from_extent: float, size: int
) -> torch.Tensor:
    """Move each side of boxes (N, 4) by up to `reach` pixels, by numbers (N, 4).

    Sides of an axis along which the box is no longer than `from_extent` stay. What leaves the
    frame of `size` pixels is cut, and a box that would turn inside out is put in order.
    """
    far = (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2) > from_extent
    moved = (boxes + (2 * numbers - 1) * reach).clamp(0, size - 1)
    low, high = torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])
    return torch.where(far, torch.cat([low, high], dim=1), boxes)


def grown_boxes(
    boxes: torch.Tensor, numbers: torch.Tensor, reach: float, share: float, size: int
) -> torch.Tensor:
    """Move each side of boxes (N, 4) outwards, by numbers (N, 4); the frame's border stops it.

    By a whole number of pixels from 0 to `reach`, and by up to `share` of the box's extent.
    """
    extent = (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)
    out = (numbers * (int(reach) + 1)).floor() + share * extent * numbers
    side = out.new_tensor([-1.0, -1, 1, 1])
    return torch.where(out > 0, (boxes + side * out).clamp(0, size - 1), boxes)


def points_within(masks: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Return one pixel (N, 2) of each mask: the one at this share (N,) of its raster order.

    Of an empty mask, the first pixel of all.
    """
    size = masks.shape[-1]
    counted = masks.flatten(1).cumsum(dim=1, dtype=torch.int32)
    total = counted[:, -1:]
    rank = (numbers[:, None] * total).floor().clamp(max=total - 1) + 1
    index = (counted >= rank).int().argmax(dim=1)
    return torch.stack([index % size, index // size], dim=-1).float()


def corrections(
    predicted: torch.Tensor, truth: torch.Tensor, numbers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a positive and a negative point for each mask, as a person would correct it.

    The positive point lies where the answer misses the mask; if it misses nothing, anywhere in
    the mask. The negative one lies where it spills; if it does not, beside the mask within its
    bounding box grown by 3 pixels, or else anywhere outside.

    Parameters
    ----------
    predicted, truth : bool tensor (N, L, L)
    numbers : tensor (N, 2)

    Returns
    -------
    points : tensor (N, 2, 2)
    labels : tensor (N, 2)
        1 and 0.
    """
    missed = _first_filled(truth & ~predicted, truth)
    beside = _grown_boxes(truth) & ~truth
    spilled = _first_filled(predicted & ~truth, beside, ~truth)
    points = torch.stack(
        [points_within(missed, numbers[:, 0]), points_within(spilled, numbers[:, 1])], dim=1
    )
    labels = torch.tensor([1.0, 0.0], device=truth.device).expand(len(truth), 2)
    return points, labels


def _first_filled(*choices: torch.Tensor) -> torch.Tensor:
    """Return, of each sample, the first of these masks that is not empty."""
    result = choices[-1]
    for choice in reversed(choices[:-1]):
        result = torch.where(choice.flatten(1).any(dim=1)[:, None, None], choice, result)
    return result


def _grown_boxes(masks: torch.Tensor) -> torch.Tensor:
    boxes = tight_boxes(masks)
    axis = torch.arange(masks.shape[-1], device=masks.device)
    low, high = boxes[:, :2] - _BACKGROUND_MARGIN, boxes[:, 2:] + _BACKGROUND_MARGIN
    across = (axis >= low[:, :1]) & (axis <= high[:, :1])
    down = (axis >= low[:, 1:]) & (axis <= high[:, 1:])
    return down[:, :, None] & across[:, None, :]

"""Boxes around masks: tight, with moved sides, and grown; many at once, on the masks' device.

Boxes are (x0, y0, x1, y1) with both ends inside, in the pixels of their masks. All
chance comes in as uniform numbers in [0, 1), a row per box, so that a mask gets the same box
whatever batch, rank or device it lands on.
"""

from __future__ import annotations

import torch


def tight_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return the bounding boxes (N, 4) of masks (N, H, W), none of which may be empty."""
    height, width = masks.shape[-2:]
    columns, rows = masks.any(dim=-2).float(), masks.any(dim=-1).float()
    sides = (
        columns.argmax(dim=-1),
        rows.argmax(dim=-1),
        width - 1 - columns.flip(-1).argmax(dim=-1),
        height - 1 - rows.flip(-1).argmax(dim=-1),
    )
    return torch.stack(sides, dim=-1).float()


def box_extents(boxes: torch.Tensor) -> torch.Tensor:
    """Return how many pixels boxes (N, 4) are wide and high, as (N, 4): each number twice."""
    return (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def move_sides(
    boxes: torch.Tensor, numbers: torch.Tensor, reach: torch.Tensor | float
) -> torch.Tensor:
    """Move each side of boxes (N, 4) in or out by up to `reach` pixels, by numbers (N, 4)."""
    return boxes + (2 * numbers - 1) * reach


def jitter_boxes(
    boxes: torch.Tensor, numbers: torch.Tensor, reach: float, from_extent: float, size: int
) -> torch.Tensor:
    """Move each side of boxes (N, 4) by up to `reach` pixels, within the frame.

    Sides of an axis along which the box is no longer than `from_extent` stay. What leaves the
    frame of `size` pixels is cut, and a box that would turn inside out is put in order.
    """
    moved = move_sides(boxes, numbers, reach).clamp(0, size - 1)
    low, high = torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])
    return torch.where(box_extents(boxes) > from_extent, torch.cat([low, high], dim=1), boxes)


def grown_boxes(
    boxes: torch.Tensor, numbers: torch.Tensor, reach: float, share: float, size: int
) -> torch.Tensor:
    """Move each side of boxes (N, 4) outwards, by numbers (N, 4); the frame's border stops it.

    By a whole number of pixels from 0 to `reach`, and by up to `share` of the box's extent.
    """
    out = (numbers * (int(reach) + 1)).floor() + share * box_extents(boxes) * numbers
    side = out.new_tensor([-1.0, -1, 1, 1])
    return torch.where(out > 0, (boxes + side * out).clamp(0, size - 1), boxes)

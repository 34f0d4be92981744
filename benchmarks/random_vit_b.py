"""SAM ViT-B with seeded random weights: speed does not depend on what the weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import segment_anything
import torch

if TYPE_CHECKING:
    from pathlib import Path


def save_vit_b(folder: Path) -> Path:
    """Write a checkpoint in SAM's own layout, and return its path."""
    torch.manual_seed(0)
    path = folder / "sam_vit_b_random.pth"
    torch.save(segment_anything.sam_model_registry["vit_b"]().state_dict(), path)
    return path

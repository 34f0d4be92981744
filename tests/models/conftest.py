"""ViT-B of seeded random weights, once per run: the real layout without the real weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from segment_anything import sam_model_registry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Run all tests of this folder on one thread."""


@pytest.fixture(scope="session")
def vit_b_tensors() -> dict[str, torch.Tensor]:
    """Return ViT-B's state_dict; do not change the tensors."""
    with torch.device("meta"):
        layout = sam_model_registry["vit_b"]().state_dict()
    generator = torch.Generator().manual_seed(11)
    return {
        name: torch.randn(value.shape, generator=generator) * 0.02 for name, value in layout.items()
    }


@pytest.fixture(scope="session")
def vit_b_path(
    vit_b_tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("vit_b") / "sam_vit_b.pth"
    torch.save(vit_b_tensors, path)
    return path

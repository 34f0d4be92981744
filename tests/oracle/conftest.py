"""ViT-B checkpoints of seeded random weights: the real layout, without the real weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from segment_anything import sam_model_registry

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPES = ((256, 256), (320, 256), (181, 217), (640, 640))


@pytest.fixture(scope="session")
def vit_b_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a ViT-B checkpoint in the SAM library's own layout.

    The library initialises positions with zeros; trained ones are not, so that part of the
    encoder would go untested: every zero tensor gets small random values.
    """
    torch.manual_seed(7)
    sam = sam_model_registry["vit_b"]()
    with torch.no_grad():
        for parameter in sam.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    path = tmp_path_factory.mktemp("checkpoints") / "random_vit_b.pth"
    torch.save(sam.state_dict(), path)
    return path


def make_slice(shape: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    """Return a slice with smooth structure, in arbitrary units with an offset."""
    rng = np.random.default_rng([seed, *shape])
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image = np.zeros(shape, np.float32)
    for _ in range(12):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        width = rng.uniform(8, 60)
        bump = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
        image += rng.uniform(50, 400) * bump
    return image + rng.normal(0, 5, shape).astype(np.float32) + 100

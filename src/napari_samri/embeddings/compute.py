"""Embeddings computed: a slice of 0..255 through a family's preprocessing and an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.sam.family import Family


@torch.inference_mode()
def encode(
    encoder: torch.nn.Module, family: Family, image: NDArray[np.uint8], device: torch.device
) -> NDArray[np.float32]:
    """Return the embedding (C, h, w) of a slice (H, W) of 0..255, in fp32."""
    embedding = encoder(family.to_input(image).to(device))[0]
    return np.asarray(embedding.float().cpu().numpy())

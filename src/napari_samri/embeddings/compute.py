"""Features computed: a slice of 0..255 through a family's preprocessing and an encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_samri.models import fast_products

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.embeddings.features import Features
    from napari_samri.models import Network, Preprocessing

# Called with the share of the encoder that is done, 0 to 1; raises `Cancelled` to stop it.
Checkpoint = Callable[[float], None]


def encode(
    network: Network,
    preprocessing: Preprocessing,
    image: NDArray[np.uint8],
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Features:
    """Return the features of a slice (H, W) of 0..255, in fp32.

    `checkpoint` is called before every part of the encoder, with the share of the parts that
    are done; what it raises stops the encoder and comes out of here.
    """
    return encode_input(network, preprocessing.to_input(image), device, checkpoint)


@fast_products()
@torch.inference_mode()
def encode_input(
    network: Network,
    input_image: NDArray[np.float32],
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Features:
    """Return the features of an encoder's input (1, C, S, S), as `encode` does."""
    features = network.encode(torch.from_numpy(input_image).to(device), checkpoint)
    return {name: np.asarray(value[0].float().cpu().numpy()) for name, value in features.items()}

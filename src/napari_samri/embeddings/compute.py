"""Features computed: a slice of 0..255 through a family's preprocessing and an encoder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_samri.embeddings.features import IMAGE
from napari_samri.models import fast_products

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_samri.embeddings.features import Features
    from napari_samri.models import Family

# Called with the share of the encoder that is done, 0 to 1; raises `Cancelled` to stop it.
Checkpoint = Callable[[float], None]


def encode(
    encoder: torch.nn.Module,
    family: Family,
    image: NDArray[np.uint8],
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Features:
    """Return the features of a slice (H, W) of 0..255, in fp32.

    `checkpoint` is called before every part of the encoder, with the share of the parts that
    are done; what it raises stops the encoder and comes out of here.
    """
    return encode_input(encoder, family.to_input(image), device, checkpoint)


@fast_products()
@torch.inference_mode()
def encode_input(
    encoder: torch.nn.Module,
    input_image: torch.Tensor,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Features:
    """Return the features of an encoder's input (1, C, S, S), as `encode` does."""
    with _watched(encoder, checkpoint):
        embedding = encoder(input_image.to(device))[0]
    return {IMAGE: np.asarray(embedding.float().cpu().numpy())}


@contextmanager
def _watched(encoder: torch.nn.Module, checkpoint: Checkpoint | None) -> Iterator[None]:
    if checkpoint is None:
        yield
        return
    parts = list(encoder.modules())
    done = 0

    def before(*_: object) -> None:
        nonlocal done
        checkpoint(done / len(parts))
        done += 1

    handles = [part.register_forward_pre_hook(before) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

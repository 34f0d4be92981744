"""A model that has been loaded, and what tells its parts from those of others.

Encoders are told apart by their tensors: equal tensors share embeddings, whatever their file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_samri.models.card import DecoderCard
    from napari_samri.models.catalogue import ModelSpec
    from napari_samri.models.network import Network
    from napari_samri.models.preprocessing import Preprocessing

ENCODER_PREFIX = "image_encoder."
PROMPT_ENCODER_PREFIX = "prompt_encoder."


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network on its device, with all that is needed to run it.

    Parameters
    ----------
    spec : ModelSpec
    network : Network
    preprocessing : Preprocessing
    encoder : str
        SHA-256 of the encoder's tensors.
    device : torch.device
    path : Path or None
        Of the checkpoint, if it was given by path; of a tuned model, its base's.
    card : DecoderCard or None
        Of a tuned model.
    """

    spec: ModelSpec
    network: Network
    preprocessing: Preprocessing
    encoder: str
    device: torch.device
    path: Path | None = None
    card: DecoderCard | None = None


def encoder_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of a checkpoint's encoder, in hexadecimal.

    Hashed are, in the order of their names: name, shape, and values as little-endian fp32
    of all tensors under ``image_encoder.``. Half-precision copies of an encoder are other
    encoders.
    """
    return _sha256(tensors, ENCODER_PREFIX)


def prompt_encoder_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of a checkpoint's prompt encoder, made as that of its encoder.

    Embeddings do not depend on it, but what a tuned decoder answers does.
    """
    return _sha256(tensors, PROMPT_ENCODER_PREFIX)


def _sha256(tensors: Mapping[str, torch.Tensor], prefix: str) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name.startswith(prefix):
            value = tensors[name].detach().to("cpu", torch.float32).contiguous()
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()

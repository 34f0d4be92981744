"""Encoders told apart by their tensors: equal tensors share embeddings, whatever their file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

ENCODER_PREFIX = "image_encoder."
PROMPT_ENCODER_PREFIX = "prompt_encoder."


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

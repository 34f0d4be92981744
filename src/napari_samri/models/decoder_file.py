"""Tuned decoders on disk: safetensors of the decoder alone, with a card in the header.

The encoder stays with its base: a tuned ViT-B takes 16 MB instead of 375.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save

from napari_samri.atomic import replacing
from napari_samri.codec import with_digest
from napari_samri.errors import InputError
from napari_samri.filenames import has_suffix
from napari_samri.models.card import (
    DECODER_PREFIX,
    Base,
    DecoderCard,
    check_names,
    read_decoder_card,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Base", "DecoderCard", "read_decoder_card", "write_decoder"]

SUFFIX = ".safetensors"


def write_decoder(path: Path, tensors: Mapping[str, torch.Tensor], card: DecoderCard) -> None:
    """Write a decoder in fp32, atomically; the same tensors and card give the same bytes.

    A digest of all of them is in the header, and checked when the decoder is loaded.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``; a file that is there is replaced.
    tensors : mapping
        All tensors of a model, or those under ``mask_decoder.``, or a decoder's own state_dict
        without that prefix, on any device.
    card : DecoderCard

    Raises
    ------
    InputError
        If the name ends otherwise.
    ModelError
        If there is no decoder among the tensors.
    StoreError
        If the file cannot be written.
    """
    if not has_suffix(path, [SUFFIX]):
        message = f"{path}: expected a name that ends in {SUFFIX}, for a tuned decoder."
        raise InputError(message)
    decoder = decoder_tensors(tensors)
    check_names(list(decoder), path)
    content = save({k: _plain(v) for k, v in decoder.items()}, metadata=card.to_header())
    with replacing(path, durable=True) as temporary:
        temporary.write_bytes(with_digest(content))


def decoder_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the decoder's tensors, under SAM's names, of a model or of a decoder alone."""
    own = {k: v for k, v in tensors.items() if k.startswith(DECODER_PREFIX)}
    if own or any(k.startswith(("image_encoder.", "prompt_encoder.")) for k in tensors):
        return own
    return {f"{DECODER_PREFIX}{k}": v for k, v in tensors.items()}


def _plain(value: torch.Tensor) -> torch.Tensor:
    return value.detach().to("cpu", torch.float32).contiguous()

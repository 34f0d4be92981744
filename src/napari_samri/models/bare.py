"""Decoders alone, without a card: put onto a base that has the shapes of their tensors."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from napari_samri.errors import InputWarning, ModelError
from napari_samri.models.sam1 import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.loading import LoadedModel
    from napari_samri.models.spec import ModelSpec

# What a decoder alone may bring along; the encoder is its base's.
_PARTS = ("mask_decoder", "prompt_encoder")
_WITNESS = "mask_decoder.iou_token.weight"
# Known models by the channels of their embeddings; ViT-L and -H have ViT-B's.
BASES = {256: "sam-vit-b", 96: "starter"}


def is_bare_decoder(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Tell whether tensors are a decoder's, perhaps with its prompt encoder, and no encoder's."""
    return _WITNESS in tensors and all(name.partition(".")[0] in _PARTS for name in tensors)


def assumed_base(checkpoint: Checkpoint) -> str:
    """Return the id of the known model that a decoder's shapes fit, and warn that it is a guess.

    Raises
    ------
    ModelError
        If they fit none.
    """
    channels = checkpoint.tensors[_WITNESS].shape[-1]
    if channels not in BASES:
        message = (
            f"{checkpoint.path}: a decoder alone, for embeddings of {channels} channels; expected "
            f"{' or '.join(map(str, BASES))}, or the model that it was tuned from: "
            "load_model(decoder, base=checkpoint)."
        )
        raise ModelError(message)
    message = (
        f"{checkpoint.path.name}: a decoder alone, put onto {BASES[channels]}, whose shapes it "
        "fits. Its masks are right only if it was tuned from that; if not, give the model that "
        "it was tuned from: load_model(decoder, base=checkpoint)."
    )
    warnings.warn(message, InputWarning, stacklevel=2)
    return BASES[channels]


def with_bare_decoder(base: LoadedModel, checkpoint: Checkpoint, spec: ModelSpec) -> LoadedModel:
    """Return a model with another decoder, and prompt encoder if the file has one, strictly.

    Raises
    ------
    ModelError
        If the tensors do not fit.
    """
    found = {name.partition(".")[0] for name in checkpoint.tensors}
    parts = {name: getattr(base.network, name) for name in _PARTS if name in found}
    fill(torch.nn.ModuleDict(parts), checkpoint)
    for part in parts.values():
        part.to(base.device).requires_grad_(False)
    return replace(base, spec=spec)

"""A tuned decoder and its base, put together; and the card of a decoder that is being tuned."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_samri._version import __version__
from napari_samri.errors import InputWarning, ModelError
from napari_samri.models.bases import base_of_file, find_base
from napari_samri.models.card import Base, DecoderCard, check_names, prompts_of
from napari_samri.models.download import models_dir
from napari_samri.models.model import LoadedModel, prompt_encoder_sha256
from napari_samri.models.network import fill
from napari_samri.models.registry import known_models

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.network import Network
    from napari_samri.models.spec import ModelSpec


def card_of(
    model: LoadedModel, *, title: str, objective: Mapping[str, Any], trains_quality: bool
) -> DecoderCard:
    """Return the card of a decoder that is tuned from a model; `dataclasses.replace` adds to it.

    A model that came by path is remembered, so that the decoder finds it on this machine.

    Parameters
    ----------
    model : LoadedModel
        Known, given by path, or tuned itself: then its base is the new one's as well.
    title : str
    objective : mapping
        Name and numbers, as JSON values.
    trains_quality : bool
        Whether the head that predicts a mask's quality is trained along.
    """
    return DecoderCard(
        exact_prompts=True,  # as `training.decoder` places them
        **prompts_of(objective),
        title=title,
        base=_base(model),
        architecture=model.spec.architecture,
        family=model.preprocessing.id,
        preprocessing=model.preprocessing.identity,
        encoder=model.encoder,
        prompt_encoder=prompt_encoder_sha256(model.network.state_dict()),
        objective=objective,
        trains_quality=trains_quality,
        licence=model.spec.licence,
        written_by=f"napari-samri {__version__}",
    )


def locate_base(card: DecoderCard, decoder: Path, given: str | Path | None) -> str | Path:
    """Return the id or the file of the model that a decoder needs.

    Raises
    ------
    ModelError
        If it is neither known nor found; the message says what to put where.
    """
    if given is not None:
        return given
    if card.base.sha256 is None and card.base.name in known_models():
        return card.base.name
    found = find_base(card.base, decoder) if card.base.sha256 else None
    if found is None:
        message = f"{decoder}: was tuned from {card.base.name}, which is not here. {_remedy(card)}"
        raise ModelError(message)
    return found


def with_decoder(
    base: LoadedModel, checkpoint: Checkpoint, card: DecoderCard, spec: ModelSpec
) -> LoadedModel:
    """Return a model with another decoder in the place of its own, which must fit exactly.

    Raises
    ------
    ModelError
        If the base is not the one that the decoder was tuned from, or the tensors do not fit.
    """
    _check_base(base, checkpoint.path, card)
    check_names(list(checkpoint.tensors), checkpoint.path)
    network = with_own_parts(base, checkpoint)
    preprocessing = replace(base.preprocessing, exact=card.exact_prompts)
    return replace(base, network=network, spec=spec, card=card, preprocessing=preprocessing)


def with_own_parts(base: LoadedModel, checkpoint: Checkpoint) -> Network:
    """Return the base's network but for the parts that a checkpoint has, which must fit exactly.

    The base stays as it was; the tensors of all other parts are shared.

    Raises
    ------
    ModelError
        If the tensors do not fit.
    """
    parts = tuple({f"{name.partition('.')[0]}." for name in checkpoint.tensors})
    tensors = base.network.state_dict(keep_vars=True)
    # What deepcopy takes for copied already is shared.
    shared = {id(value): value for name, value in tensors.items() if not name.startswith(parts)}
    network = deepcopy(base.network, shared)
    fill(network, checkpoint, parts)
    return network.to(base.device).requires_grad_(False)


def _base(model: LoadedModel) -> Base:
    if model.card is not None:
        return model.card.base
    # A decoder without a card has a base as well.
    name = model.spec.base or model.spec.id
    return base_of_file(model.path) if model.path is not None else Base(name=name)


def _check_base(base: LoadedModel, decoder: Path, card: DecoderCard) -> None:
    parts = {
        "encoder": (card.encoder, base.encoder),
        "prompt encoder": (
            card.prompt_encoder,
            prompt_encoder_sha256(base.network.state_dict()),
        ),
        "preprocessing": (card.preprocessing, base.preprocessing.identity),
    }
    for part, (expected, found) in parts.items():
        if found != expected:
            message = (
                f"{decoder}: was tuned with the {part} {expected} of {card.base.name}, but that "
                f"of {base.path or base.spec.title} is {found}. {_remedy(card)}"
            )
            raise ModelError(message)


def _remedy(card: DecoderCard) -> str:
    if card.base.sha256 is None:
        return (
            f"Use the model '{card.base.name}' that it was tuned from, registered or updated if "
            "need be, or give its checkpoint: load_model(decoder, base=checkpoint)."
        )
    return (
        f"Put {card.base.name} (sha256 {card.base.sha256}) beside it or into {models_dir()}, or "
        "give it: load_model(decoder, base=checkpoint)."
    )


# Decoders alone, without a card: put onto a base that has the shapes of their tensors.

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
    return replace(base, network=with_own_parts(base, checkpoint), spec=spec)

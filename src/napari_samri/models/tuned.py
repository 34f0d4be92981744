"""A tuned decoder and its base, put together; and the card of a decoder that is being tuned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from napari_samri._version import __version__
from napari_samri.errors import ModelError
from napari_samri.models.bases import base_of_file, find_base
from napari_samri.models.card import Base, DecoderCard, check_names, prompts_of
from napari_samri.models.download import models_dir
from napari_samri.models.identity import prompt_encoder_sha256
from napari_samri.models.registry import known_models
from napari_samri.models.sam1 import fill

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.loading import LoadedModel
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
        family=model.family.id,
        preprocessing=model.family.preprocessing,
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
    decoder = base.network.mask_decoder
    fill(torch.nn.ModuleDict({"mask_decoder": decoder}), checkpoint)
    decoder.to(base.device)
    family = replace(base.family, exact=card.exact_prompts)
    return replace(base, spec=spec, card=card, family=family)


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
        "preprocessing": (card.preprocessing, base.family.preprocessing),
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

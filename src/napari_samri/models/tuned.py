"""Tuned decoders: their files, the models that they were tuned from, and both put together.

A file is safetensors of the decoder alone, with a card in the header: the encoder stays with its
base, so that a tuned ViT-B takes 16 MB instead of 375. A card names its base by file name and
digest only. The way to it is kept beside the models, one small file per digest, and is a hint:
what it leads to is checked by its tensors.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save

from napari_samri._version import __version__
from napari_samri.atomic import make_folder, replacing
from napari_samri.codec import read_bytes, with_digest
from napari_samri.errors import InputError, InputWarning, ModelError, StoreError
from napari_samri.filenames import has_suffix
from napari_samri.models.card import (
    DECODER_PREFIX,
    Base,
    DecoderCard,
    check_names,
    prompts_of,
)
from napari_samri.models.files import models_dir
from napari_samri.models.model import LoadedModel, prompt_encoder_sha256
from napari_samri.models.network import fill
from napari_samri.models.registry import known_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.models.catalogue import ModelSpec
    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.network import Network


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


_FOLDER = "bases"
_HINT_BYTES = 1 << 16


def base_of_file(path: Path) -> Base:
    """Return a checkpoint given by path as a base, and remember where it is."""
    with path.open("rb") as file:
        base = Base(name=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    remember_base(base, path)
    return base


def remember_base(base: Base, path: Path) -> None:
    """Remember the way to a base that is no known model.

    Where the models folder is read-only, nothing is remembered: the checkpoint then has to be
    given, or to lie beside the decoder.
    """
    if base.sha256 is None:
        return
    hint, content = _hint(base.sha256), os.fsencode(path.resolve())
    with suppress(StoreError):
        make_folder(hint.parent)
        with replacing(hint) as temporary:
            temporary.write_bytes(content)


def find_base(base: Base, decoder: Path) -> Path | None:
    """Return a file that may be a base: beside the decoder, in the models folder, as remembered.

    In this order, so that a file that somebody puts there counts more than what was once known.

    Parameters
    ----------
    base : Base
        No known model.
    decoder : Path
        The decoder that was tuned from it.

    Returns
    -------
    Path or None
        None if there is no such file.
    """
    places = [decoder.parent / base.name, models_dir() / base.name]
    with suppress(InputError):
        hint = read_bytes(_hint(base.sha256 or ""), _HINT_BYTES)
        places.append(Path(os.fsdecode(hint)))
    return next(filter(_is_file, places), None)


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):  # a name that is too long, or that no file can have
        return path.is_file()
    return False


def _hint(sha256: str) -> Path:
    return models_dir() / _FOLDER / f"{sha256}.txt"


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

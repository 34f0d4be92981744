"""What the file of a tuned decoder says of itself: a card, in JSON, in its header.

It is read without torch, and without the tensors: listing many decoders is cheap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003  # fields are read by their annotations
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from napari_samri.codec import (
    Flaw,
    check_fields,
    from_plain,
    integer,
    line,
    one_of,
    parse_json,
    text,
    to_plain,
)
from napari_samri.errors import InputError, ModelError
from napari_samri.models.catalogue import BEST, SINGLE
from napari_samri.models.files import check_file

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "napari-samri-decoder"
VERSION = 1
DECODER_PREFIX = "mask_decoder."
_MOST_BYTES = 1 << 20
_Line = Annotated[str, line()]
_Digest = Annotated[str, text(pattern="[0-9a-f]{64}", what="64 hexadecimal digits")]
_Large = Annotated[int, integer(0, 1 << 64)]


@dataclass(frozen=True, kw_only=True)
class Base:
    """The model that a decoder was tuned from, and needs for its encoder.

    No folder is part of it: paths tell of people and machines, and mean nothing elsewhere.
    `napari_samri.models.tuned` remembers them, on this machine only.

    Parameters
    ----------
    name : str
        Id of a known model, or the file name of a checkpoint.
    sha256 : str or None
        Of the whole checkpoint file; None for known models.
    """

    name: _Line
    sha256: _Digest | None = None


@dataclass(frozen=True, kw_only=True)
class DecoderCard:
    """What is known of a tuned decoder.

    Parameters
    ----------
    title : str
        What people read.
    base : Base
    architecture, family, preprocessing : str
        As the base's: `ModelSpec.architecture`, `Preprocessing.id` and `Preprocessing.identity`.
    encoder, prompt_encoder : str
        SHA-256 of the base's tensors (`napari_samri.models.model`), which were frozen.
    objective : mapping
        The training objective's name and numbers.
    trains_quality : bool
        Whether the head that predicts a mask's quality was trained along; without, its numbers
        mean nothing.
    exact_prompts : bool
        Whether prompts go by the exact map from slice to input (`napari_samri.geometry.frames`),
        as decoders are tuned here, or by that of the SAM library. Cards of older versions do not
        say; their decoders were tuned by the exact map.
    lone_point : str
        Which mask a single point gets: ``single``, or ``best`` of the three candidates by the
        predicted IoU, as training chooses where it begins with points. Told from the objective
        where a card of an older version does not say.
    takes_points : bool
        Whether points were among the prompts of the training. Told from the objective where a
        card of an older version does not say.
    bank : str
        Fingerprint of the embedding bank; empty if there was none.
    seed, epochs, samples : int
        Of the training; `samples` is the number of different masks.
    scores : mapping of str to float or None
        Validation results by name.
    licence, description : str
    written_by : str
        Program and version.

    Raises
    ------
    InputError
        If a value is of a wrong type, too long, or no number.
    """

    title: _Line
    base: Base
    architecture: _Line
    family: _Line
    preprocessing: _Line
    encoder: _Digest
    prompt_encoder: _Digest
    objective: Mapping[str, Any]
    trains_quality: bool
    exact_prompts: bool = True
    lone_point: Annotated[str, one_of(SINGLE, BEST)] = SINGLE
    takes_points: bool = True
    bank: _Line = ""
    seed: _Large = 0
    epochs: Annotated[int, integer(0)] = 0
    samples: _Large = 0
    scores: Mapping[str, float | None] = field(default_factory=dict)
    licence: _Line = "as its base"
    description: _Line = ""
    written_by: _Line = ""

    def __post_init__(self) -> None:
        try:
            check_fields(self)
            _check_names(self)
        except Flaw as flaw:
            message = f"a decoder's card cannot hold this: {flaw}."
            raise InputError(message) from flaw

    def to_header(self) -> dict[str, str]:
        """Return the text entries of a safetensors header."""
        card = json.dumps(to_plain(self), allow_nan=False)
        return {"format": FORMAT, "version": str(VERSION), "card": card}

    @classmethod
    def from_header(cls, header: Mapping[str, str], path: Path) -> DecoderCard:
        """Read what `to_header` made; entries that this version does not know are left out.

        Raises
        ------
        ModelError
            If the header is of another format or version, or its card is damaged.
        """
        found = (header.get("format"), header.get("version"))
        if found != (FORMAT, str(VERSION)):
            message = (
                f"{path}: its header says {found[0]!r}, version {found[1]!r}; expected a tuned "
                f"decoder: {FORMAT!r}, version {VERSION}. A newer napari-samri may read it."
            )
            raise ModelError(message)
        source = f"{path}: the card of this tuned decoder is damaged"
        hint = "Train it again, or get the file again."
        try:
            return parse_json(header.get("card", ""), _read_card, source, _MOST_BYTES, hint=hint)
        except InputError as error:
            raise ModelError(str(error)) from error


def _read_card(value: object) -> DecoderCard:
    objective = value.get("objective") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(objective, dict):
        value = prompts_of(objective) | value
    return from_plain(DecoderCard, value, "drop")


def prompts_of(objective: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an objective's numbers say of `DecoderCard.takes_points` and `.lone_point`.

    Points come beside the box, as corrections of the first answer, or in place of the box: only
    then is the best of three candidates what is trained. Of an objective without these numbers,
    nothing is claimed.
    """
    if "p_box" not in objective:
        return {}
    alone = objective["p_box"] != 1
    beside = bool(objective.get("with_point") or objective.get("n_steps"))
    return {"takes_points": alone or beside, "lone_point": BEST if alone else SINGLE}


def is_decoder(header: Mapping[str, str]) -> bool:
    """Tell from a safetensors header whether a file is a tuned decoder, of any version."""
    return header.get("format") == FORMAT


def read_decoder_card(path: Path) -> DecoderCard:
    """Read the card of a tuned decoder; its tensors are not read, but counted and named.

    Raises
    ------
    InputError
        If there is no such file.
    ModelError
        If it is not a whole file of a tuned decoder.
    """
    from safetensors import SafetensorError, safe_open

    check_file(path, "a tuned decoder")
    try:
        with safe_open(path, framework="numpy") as file:
            names, header = list(file.keys()), dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        message = f"{path}: not a readable safetensors file ({error}); it may be incomplete."
        raise ModelError(message) from error
    card = DecoderCard.from_header(header, path)
    check_names(names, path)
    return card


def check_names(names: list[str], path: Path) -> None:
    """Check that tensors are those of a decoder and nothing else.

    Raises
    ------
    ModelError
        If there are none, or others.
    """
    others = [name for name in names if not name.startswith(DECODER_PREFIX)]
    if others or not names:
        found = f"{len(others)} others, e.g. {others[0]!r}" if others else "none"
        message = f"{path}: expected tensors under '{DECODER_PREFIX}' only; found {found}."
        raise ModelError(message)


def _check_names(card: DecoderCard) -> None:
    if not card.title or not card.base.name:
        message = "no title or no base"
        raise Flaw(message)
    if card.base.sha256 is not None and {"/", "\\"} & set(card.base.name):
        message = f"base {card.base.name!r}, a path"
        raise Flaw(message)

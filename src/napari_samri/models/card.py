"""What the file of a tuned decoder says of itself: a card, in JSON, in its header.

It is read without torch, and without the tensors: listing many decoders is cheap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from napari_samri.codec import (
    Reader,
    any_object,
    flag,
    integer,
    line,
    map_of,
    number,
    one_of,
    optional,
    parse_json,
    record,
    text,
)
from napari_samri.errors import InputError, ModelError
from napari_samri.models.catalogue import BEST, SINGLE
from napari_samri.models.files import check_file

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "napari-samri-decoder"
VERSION = 1
DECODER_PREFIX = "mask_decoder."
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_TEXT = 1000
_MOST_BYTES = 1 << 20


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

    name: str
    sha256: str | None = None


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

    title: str
    base: Base
    architecture: str
    family: str
    preprocessing: str
    encoder: str
    prompt_encoder: str
    objective: Mapping[str, Any]
    trains_quality: bool
    exact_prompts: bool = True
    lone_point: str = SINGLE
    takes_points: bool = True
    bank: str = ""
    seed: int = 0
    epochs: int = 0
    samples: int = 0
    scores: Mapping[str, float | None] = field(default_factory=dict)
    licence: str = "as its base"
    description: str = ""
    written_by: str = ""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise InputError(problem)

    def as_dict(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return asdict(self)

    def to_header(self) -> dict[str, str]:
        """Return the text entries of a safetensors header."""
        card = json.dumps(self.as_dict(), allow_nan=False)
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
            return parse_json(header.get("card", ""), _card(), source, _MOST_BYTES, hint=hint)
        except InputError as error:
            raise ModelError(str(error)) from error


def _card() -> Reader[DecoderCard]:
    needed = {f.name for f in fields(DecoderCard) if f.default is f.default_factory is MISSING}
    return record(
        _read_card,
        {name: reader for name, reader in _ENTRIES.items() if name in needed},
        {name: reader for name, reader in _ENTRIES.items() if name not in needed},
    )


def _read_card(**entries: Any) -> DecoderCard:
    return DecoderCard(**prompts_of(entries["objective"]) | entries)


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


def _problems(card: DecoderCard) -> list[str]:
    texts = {f.name: getattr(card, f.name) for f in fields(card) if f.type == "str"}
    counts = {name: getattr(card, name) for name in ("seed", "epochs", "samples")}
    digests = {name: texts[name] for name in ("encoder", "prompt_encoder")}
    texts["base"] = getattr(card.base, "name", None)
    wrong = [f"{k} {v!r}" for k, v in texts.items() if not _is_line(v)]
    wrong += [f"{k} {v!r}" for k, v in counts.items() if type(v) is not int or v < 0]
    wrong += [f"{k} {v!r}" for k, v in digests.items() if not _is_digest(v)]
    if card.base.sha256 is not None and not _is_digest(card.base.sha256):
        wrong.append(f"base {card.base.sha256!r}")
    if card.base.sha256 is not None and {"/", "\\"} & set(str(card.base.name)):
        wrong.append(f"base {card.base.name!r}, a path")
    if not texts["title"] or not texts["base"]:
        wrong.append("no title or no base")
    return [f"a decoder's card cannot hold this: {item}." for item in wrong + _odd_values(card)]


def _odd_values(card: DecoderCard) -> list[str]:
    if not isinstance(card.objective, Mapping) or not isinstance(card.scores, Mapping):
        return ["objective or scores that are no mapping"]
    try:
        json.dumps([dict(card.objective), dict(card.scores)], allow_nan=False)
    except (TypeError, ValueError) as error:
        return [f"objective or scores ({error})"]
    odd = [v for v in card.scores.values() if v is not None and not isinstance(v, int | float)]
    wrong = [f"score {value!r}" for value in odd]
    flags = ("trains_quality", "exact_prompts", "takes_points")
    wrong += [f"{name} is no bool" for name in flags if type(getattr(card, name)) is not bool]
    if card.lone_point not in {SINGLE, BEST}:
        wrong.append(f"lone_point {card.lone_point!r}")
    return wrong


def _is_line(text: object) -> bool:
    """Tell whether something is text of one line that is fit to be shown."""
    return isinstance(text, str) and (not text or text.isprintable()) and len(text) <= _LONGEST_TEXT


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


_DIGEST_TEXT = text(pattern=_DIGEST.pattern, what="64 hexadecimal digits")
# How each entry of a card is read; `DecoderCard` itself says which may be missing.
_ENTRIES: dict[str, Reader[Any]] = {
    "title": line(),
    "base": record(Base, {"name": line()}, {"sha256": optional(_DIGEST_TEXT)}),
    "architecture": line(),
    "family": line(),
    "preprocessing": line(),
    "encoder": _DIGEST_TEXT,
    "prompt_encoder": _DIGEST_TEXT,
    "objective": any_object,
    "trains_quality": flag,
    "exact_prompts": flag,
    "lone_point": one_of(SINGLE, BEST),
    "takes_points": flag,
    "bank": line(),
    "seed": integer(0, 1 << 64),
    "epochs": integer(0),
    "samples": integer(0, 1 << 64),
    "scores": map_of(optional(number())),
    "licence": line(),
    "description": line(),
    "written_by": line(),
}

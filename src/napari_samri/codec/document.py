"""JSON documents, whole: how large, how deep, and in which encoding."""

from __future__ import annotations

import codecs
import json
import re
import stat
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_samri.codec.flaw import Flaw, shown
from napari_samri.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.codec.values import Reader

T = TypeVar("T")

# Far more than any document needs, far less than memory; manifests have a limit of their own.
LIMIT_BYTES = 64 << 20
DEEPEST = 64
# More digits than any float has before its point. Converting digits takes quadratic time.
_TOO_MANY_DIGITS = re.compile(r"[0-9]{400}")
_NO_BRACKET = re.compile(r"[^][{}]+")


def read_json(
    path: Path,
    schema: Reader[T],
    limit: int = LIMIT_BYTES,
    *,
    hint: str = "",
    pipes: bool = False,
) -> T:
    """Read a JSON file.

    Parameters
    ----------
    path : pathlib.Path
    schema : Reader
        What the document has to be.
    limit : int
        The most bytes that are read.
    hint : str
        What to do about a damaged document: the end of the error's text.
    pipes : bool
        Whether a pipe is read as well, where a person names the file. Of a device, and of a
        pipe in a folder of ours, reading might never end.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it cannot be read, is too large, no JSON in UTF-8 (or UTF-16), or not what the schema
        asks for; the message says where in the document, what was found and what was expected.
    """
    return parse_json(read_bytes(path, limit, pipes=pipes), schema, str(path), limit, hint=hint)


def read_bytes(path: Path, limit: int = LIMIT_BYTES, *, pipes: bool = False) -> bytes:
    """Return the bytes of a file, and one more than `limit` at most.

    Raises
    ------
    MissingFileError, InputError
        As `read_json`, as far as it is about the file.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode))):
            message = f"{path}: is no file; expected the name of one."
            raise InputError(message)
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError as error:
        message = f"{path}: there is no such file."
        raise MissingFileError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise InputError(message) from error
    except ValueError as error:  # a name with a null character
        if isinstance(error, InputError):
            raise
        message = f"{str(path)!r}: cannot be the name of a file ({error})."
        raise InputError(message) from error


def parse_json(
    content: bytes | str,
    schema: Reader[T],
    source: str,
    limit: int = LIMIT_BYTES,
    *,
    hint: str = "",
) -> T:
    """Read a JSON document that is in memory; `source` names it in errors.

    Raises
    ------
    InputError
        As `read_json`.
    """
    try:
        if len(content) > limit:
            message = f"is larger than {limit:,} bytes, which no such document is"
            raise Flaw(message)
        return schema(_parsed(content))
    except Flaw as flaw:
        message = f"{source}: {flaw}. {hint}".rstrip()
        raise InputError(message) from flaw


def _parsed(content: bytes | str) -> object:
    try:
        text = content if isinstance(content, str) else content.decode(_encoding(content))
        text = text.removeprefix("\ufeff")
        _check_structure(text)
        return json.loads(text, object_pairs_hook=_object)
    except Flaw:
        raise
    except UnicodeDecodeError as error:
        message = f"is no text in {error.encoding} ({error.reason} at byte {error.start})"
        raise Flaw(message) from error
    except (ValueError, RecursionError) as error:
        message = f"is not readable as JSON ({error})"
        raise Flaw(message) from error


def _encoding(content: bytes) -> str:
    """Return UTF-8, as JSON should be, or UTF-16 where a byte order mark says so."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if marked else "utf-8"


def _check_structure(text: str) -> None:
    """Refuse, in linear time, what would overflow the parser's stack or keep it busy."""
    # Pairs of backslashes first: what follows one that is left is escaped.
    plain = text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text
    outside = "".join(plain.split('"')[::2])
    if _TOO_MANY_DIGITS.search(outside):
        message = "holds a number of more than 400 digits"
        raise Flaw(message)
    brackets = np.frombuffer(_NO_BRACKET.sub("", outside).encode(), np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    depth = np.cumsum(np.where(opening, 1, -1))
    if len(depth) and depth.max() > DEEPEST:
        message = f"is nested {depth.max():,} levels deep; expected at most {DEEPEST}"
        raise Flaw(message)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        message = f"has the entry {shown(twice)} twice"
        raise Flaw(message)
    return found

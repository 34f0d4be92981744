"""Readers of single values: numbers, texts, and what is free but bounded."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from napari_samri.codec.flaw import LARGEST_INTEGER, Flaw, shown, wrong

T = TypeVar("T")
S = TypeVar("S")
# Turns a JSON value into what the program works with, or raises a Flaw.
Reader = Callable[[object], T]

LONGEST_TEXT = 100_000
_LARGEST_NUMBER = sys.float_info.max


def integer(low: int = -LARGEST_INTEGER, high: int = LARGEST_INTEGER) -> Reader[int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise wrong(value, f"a whole number from {low} to {high}")
        return value

    return read


def number(low: float = -_LARGEST_NUMBER, high: float = _LARGEST_NUMBER) -> Reader[float]:
    """Return a reader of finite numbers from `low` to `high`, as floats."""

    def read(value: object) -> float:
        # NaN is within no bounds, and infinity beyond the default ones.
        if type(value) not in {int, float} or not low <= value <= high:  # type: ignore[operator]
            raise wrong(value, _range("a finite number", low, high))
        return float(value)  # type: ignore[arg-type]

    return read


def _range(what: str, low: float, high: float) -> str:
    return (
        what if (low, high) == (-_LARGEST_NUMBER, _LARGEST_NUMBER) else f"{what}, {low} to {high}"
    )


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise wrong(value, "true or false")
    return value


def text(longest: int = LONGEST_TEXT, pattern: str = "", what: str = "") -> Reader[str]:
    """Return a reader of texts.

    Parameters
    ----------
    longest : int
        In characters.
    pattern : str
        A regular expression that the whole text has to match.
    what : str
        What such a text is, for errors.
    """
    matches = re.compile(pattern, re.DOTALL).fullmatch if pattern else None

    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > longest or not _is_encodable(value):
            raise wrong(value, what or f"a text of at most {longest:,} characters")
        if matches is not None and not matches(value):
            raise wrong(value, what or f"a text like {pattern}")
        return value

    return read


def line(longest: int = 1000) -> Reader[str]:
    """Return a reader of texts of one line that are fit to be shown."""

    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > longest or not (value + "a").isprintable():
            raise wrong(value, f"a line of at most {longest:,} printable characters")
        return value

    return read


def _is_encodable(value: str) -> bool:
    """Tell whether a text has no half of a surrogate pair, but for bytes of file names."""
    try:
        value.isascii() or value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def one_of(*values: T) -> Reader[T]:
    """Return a reader of these values and no others."""

    def read(value: object) -> T:
        for known in values:
            if type(value) is type(known) and value == known:
                return known
        raise wrong(value, "one of " + ", ".join(map(repr, values)))

    return read


def optional(item: Reader[T]) -> Reader[T | None]:
    """Return a reader of null, or of what another one reads."""

    def read(value: object) -> T | None:
        return None if value is None else item(value)

    return read


def convert(item: Reader[S], to: Callable[[S], T]) -> Reader[T]:
    """Return a reader that goes on with what another one reads.

    A ValueError that `to` raises on it is the value's flaw.
    """

    def read(value: object) -> T:
        found = item(value)
        try:
            return to(found)
        except Flaw:
            raise
        except ValueError as error:
            message = f"is {shown(value)}: {error}"
            raise Flaw(message) from error

    return read


def anything(value: object) -> Any:
    """Read any JSON value whose numbers are finite and of at most 16 digits before the point."""
    if isinstance(value, dict):
        return {name: _inside(anything, entry, text()(name)) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_inside(anything, entry, number) for number, entry in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return integer()(value)
    if isinstance(value, float):
        return number()(float(value))
    return text()(value)


def _inside(item: Reader[T], value: object, step: str | int) -> T:
    try:
        return item(value)
    except Flaw as flaw:
        raise flaw.within(step) from None


def any_object(value: object) -> dict[str, Any]:
    """Read any JSON object, by the rules of `anything`."""
    if not isinstance(value, dict):
        raise wrong(value, "an object")
    return dict(anything(value))

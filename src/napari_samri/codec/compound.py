"""Readers of lists and objects, made of readers of what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from napari_samri.codec.flaw import LARGEST_INTEGER, Flaw, shown, wrong
from napari_samri.codec.values import Reader, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
S = TypeVar("S")


def list_of(
    item: Reader[T], at_least: int = 0, at_most: int = LARGEST_INTEGER
) -> Reader[tuple[T, ...]]:
    """Return a reader of lists of one kind."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise wrong(value, "a list")
        if not at_least <= len(value) <= at_most:
            raise wrong(value, f"a list of {at_least} to {at_most} entries")
        return _each(item, value)

    return read


def _each(item: Reader[T], values: list[Any]) -> tuple[T, ...]:
    found: list[T] = []
    try:
        for value in values:
            found.append(item(value))  # its length tells where a flaw is
    except Flaw as flaw:
        raise flaw.within(len(found)) from None
    return tuple(found)


def row_of(*items: Reader[Any]) -> Reader[tuple[Any, ...]]:
    """Return a reader of lists of this length, each entry of its own kind."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(items):
            raise wrong(value, f"a list of {len(items)}")
        found: list[Any] = []
        try:
            for item, entry in zip(items, value, strict=True):
                found.append(item(entry))
        except Flaw as flaw:
            raise flaw.within(len(found)) from None
        return tuple(found)

    return read


def map_of(item: Reader[T], key: Reader[S] | None = None) -> Reader[dict[Any, T]]:
    """Return a reader of objects whose values are of one kind, whatever the names.

    Parameters
    ----------
    item : Reader
    key : Reader, optional
        Of the names; by default they stay texts.
    """
    name_of = key or text()

    def read(value: object) -> dict[Any, T]:
        if not isinstance(value, dict):
            raise wrong(value, "an object")
        found = {}
        for name, entry in value.items():
            try:
                found[name_of(name)] = item(entry)
            except Flaw as flaw:
                raise flaw.within(shown(name)) from None
        return found

    return read


def record(
    make: Callable[..., T],
    required: Mapping[str, Reader[Any]],
    others: Mapping[str, Reader[Any]] | None = None,
    *,
    unknown: Literal["drop", "refuse"] = "drop",
    marks: Mapping[str, object] | None = None,
) -> Reader[T]:
    """Return a reader of objects with these entries.

    Parameters
    ----------
    make : callable
        Called with the entries by name; a dataclass, or dict. A ValueError that it raises
        (as every InputError is) is the document's flaw.
    required, others : mapping of str to Reader
        Entries that have to be there, and those that may; what is not there is not given to
        `make`.
    unknown : {"drop", "refuse"}
        What becomes of entries with other names: a later version may have added some.
    marks : mapping of str to value, optional
        Format and version, which are looked at first: all else may differ in another one.
    """
    readers = {**required, **(others or {})}
    known = {*readers, *(marks or {})}

    def read(value: object) -> T:
        if not isinstance(value, dict):
            raise wrong(value, "an object")
        if marks:
            _check_marks(value, marks)
        _check_names(value, required, known, unknown)
        found = {}
        for name, reader in readers.items():
            if name in value:
                try:
                    found[name] = reader(value[name])
                except Flaw as flaw:
                    raise flaw.within(name) from None
        try:
            return make(**found)
        except Flaw:
            raise
        except ValueError as error:
            message = f"cannot be used: {error}"
            raise Flaw(message) from error

    return read


def _check_marks(value: Mapping[str, Any], marks: Mapping[str, object]) -> None:
    for name, expected in marks.items():
        found = value.get(name)
        if type(found) is not type(expected) or found != expected:
            message = (
                f"has the {name} {shown(found)}; expected {expected!r}: another program's file, or "
                "another version's, or damaged"
            )
            raise Flaw(message)


def _check_names(
    value: Mapping[str, Any], required: Mapping[str, object], known: set[str], unknown: str
) -> None:
    if not required.keys() <= value.keys():
        missing = next(name for name in required if name not in value)
        message = f"has no {shown(missing)}; expected one"
        raise Flaw(message)
    if unknown == "refuse" and not value.keys() <= known:
        odd = min(value.keys() - known)
        message = f"has unknown fields, e.g. {shown(odd)}; expected {sorted(known)}"
        raise Flaw(message)

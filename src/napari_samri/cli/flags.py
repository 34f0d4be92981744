"""Flags made from the fields of dataclasses, and fields from what was given."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal, get_origin

from napari_samri.options import options_of

if TYPE_CHECKING:
    from napari_samri.options import Field


def add_flags(parser: argparse.ArgumentParser, kind: type, *, but: tuple[str, ...] = ()) -> None:
    """Add a flag for each field of a dataclass that has an option, except those in `but`.

    What is not given is not among the parsed options, so that the class' own default holds.
    """
    for field in options_of(kind):
        if field.option.cli and field.name not in but:
            _add_flag(parser, field)


def given(options: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Return the fields of a dataclass that were given."""
    found = vars(options)
    return {field.name: found[field.name] for field in options_of(kind) if field.name in found}


def flag_of(field: Field) -> str:
    """Return the flag of a field."""
    return flag_called(field.option.flag or field.name)


def flag_called(name: str) -> str:
    """Return a name as a flag."""
    return f"--{name.replace('_', '-')}"


def _add_flag(parser: argparse.ArgumentParser, field: Field) -> None:
    words: dict[str, Any] = {"help": field.option.help or field.option.tip}
    if field.kind is bool:
        words["action"] = "store_true"
    else:
        words["type"] = field.kind if field.kind in {int, float} else str
        # Other choices are proposals, or names that the class refuses in its own words.
        if field.values and (field.kind is int or get_origin(field.kind) is Literal):
            words["choices"] = tuple(value for value in field.values if value is not None)
        if field.option.metavar:
            words["metavar"] = field.option.metavar
    parser.add_argument(flag_of(field), dest=field.name, default=argparse.SUPPRESS, **words)

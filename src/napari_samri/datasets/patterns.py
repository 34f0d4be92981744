"""The user's regular expressions that find the patient in an image's path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex

from napari_samri.datasets.spelling import composed
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = "patient"
# Backtracking can take exponential time in the length of a name; no expression that is meant to
# match a name takes a second.
SECONDS = 1.0
MOST_LETTERS = 1000


@dataclass(frozen=True)
class PatientPatterns:
    """Expressions that are tried in turn.

    Parameters
    ----------
    patterns : tuple of compiled expressions
    """

    patterns: tuple[regex.Pattern[str], ...] = ()

    @classmethod
    def of(cls, texts: str | Sequence[str]) -> PatientPatterns:
        """Compile one or more expressions.

        Raises
        ------
        InputError
            If one is no regular expression, or far too long.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        return cls(tuple(_compiled(text) for text in several))

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def patient(self, image: str) -> str:
        """Return the patient of an image by its path below its data set's root.

        That is the group called ``patient``, or else the first group, or else all that matched,
        of the first expression that matches and gives a text.

        Raises
        ------
        InputError
            If none does, or an expression takes too long.
        """
        for pattern in self.patterns:
            if found := _found(pattern, composed(image)):
                return found
        message = (
            f"{image}: no pattern for patients matches, so the patient is not known; expected one "
            "that does. Give another pattern."
        )
        raise InputError(message)


class PatternError(InputError):
    """An expression that cannot be used on any name."""


def _compiled(text: str) -> regex.Pattern[str]:
    if len(text) > MOST_LETTERS:
        message = (
            f"the pattern for patients has {len(text)} letters; expected at most {MOST_LETTERS}."
        )
        raise PatternError(message)
    try:
        return regex.compile(text)
    except (regex.error, RecursionError, OverflowError) as error:
        message = (
            f"the pattern for patients {text!r} is no regular expression ({error}); expected one "
            r"such as ^(p\d+)_."
        )
        raise PatternError(message) from error


def _found(pattern: regex.Pattern[str], image: str) -> str:
    """Return what a pattern finds in a path; empty if it does not match."""
    try:
        found = pattern.search(image, timeout=SECONDS)
    except TimeoutError as error:
        message = (
            f"the pattern for patients {pattern.pattern!r} takes over {SECONDS:g} s for the name "
            f"{image!r}; expected one without a repetition inside of another, such as (a+)+."
        )
        raise PatternError(message) from error
    if found is None:
        return ""
    if GROUP in pattern.groupindex:
        return (found[GROUP] or "").strip()
    first = found[1] if pattern.groups else None
    return str(first or found[0]).strip()

"""Cases on their way from a layout to a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Told = Literal["table", "subject's folder", "pattern", "name"]


@dataclass(frozen=True)
class Entry:
    """A case of a data set, with paths as a manifest has them.

    Parameters
    ----------
    dataset, patient : str
    image, labels : str
        Relative to the root, with forward slashes.
    root : path
    name : str
        What the layout takes for the name of the case.
    told : str
        What tells the patient.
    parts : tuple of str
        Kinds of the parts of the name that say which picture of the patient it is.
    structure, rater, where : str
        As a layout's `Case` has them.
    channel : int or None
        Of a 4D image, which of its volumes.
    classes : tuple of (int, str)
        As `Study` has them.
    """

    dataset: str
    patient: str
    image: str
    labels: str
    root: Path
    name: str = ""
    told: Told = "name"
    parts: tuple[str, ...] = ()
    structure: str = ""
    rater: str = ""
    where: str = ""
    channel: int | None = None
    classes: tuple[tuple[int, str], ...] = ()

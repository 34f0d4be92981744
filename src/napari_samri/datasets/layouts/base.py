"""What a layout has to do, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Case:
    """An image and its labels.

    Parameters
    ----------
    image, labels : path
        Below the findings' root. Nothing says yet that they can be read.
    patient : str
        Whoever is in the picture, as far as the layout can tell.
    dataset : str
        Name of the data set if the layout knows one; empty for the source's own.
    patient_is_given : bool
        The patient was written down, not told from a name.
    structure : str
        Where labels hold a single structure, its name; empty where their values are labels.
    rater : str
        Whose labels they are, if an image has several people's.
    where : str
        What names the case, such as the line of a table.
    """

    image: Path
    labels: Path
    patient: str
    dataset: str = ""
    patient_is_given: bool = False
    structure: str = ""
    rater: str = ""
    where: str = ""


@dataclass(frozen=True)
class Findings:
    """What lies below a root.

    Parameters
    ----------
    root : path
        Absolute.
    cases : tuple of Case
    problems : tuple of str
        What does not fit together, with paths relative to the root.
    left_out : mapping of str to int
        How many files were passed over, by reason.
    label_names : mapping of int to str
        As far as they are known; without background.
    """

    root: Path
    cases: tuple[Case, ...]
    problems: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    label_names: Mapping[int, str] = field(default_factory=dict)


class Layout(Protocol):
    """Knows one way in which data sets lie on disk."""

    @property
    def id(self) -> str:
        """Short name, to choose it by and for the manifest."""

    @property
    def looks_for(self) -> str:
        """What it looks for, in a few words, for the message that nothing was found."""

    def recognises(self, path: Path) -> bool:
        """Tell from names, without opening images, whether a path has this layout."""

    def find(self, path: Path) -> Findings:
        """Find all cases below a path, without opening images.

        What does not fit together is listed in the findings and leaves the rest alone.

        Raises
        ------
        InputError
            If a folder or a table of the layout cannot be read at all.
        """

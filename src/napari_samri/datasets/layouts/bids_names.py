"""What a BIDS file name says, and which image's name fits which labels'."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.files import stem
from napari_samri.datasets.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LABEL_SUFFIXES = ("dseg", "mask", "seg")
# What a label file says of its labels, or a derivative of its making: an image need not share it.
_OF_LABELS = ("label", "seg", "atlas", "desc")
_SPACES = ("space", "res", "den")
# Masks of one thing; a dseg holds several.
_MASKS = ("mask", "seg")
_STRUCTURE = re.compile(r"_label-([^_]+)", re.IGNORECASE)
_NATIVE = ("orig", "individual", "native", "scanner")


@dataclass(frozen=True)
class Name:
    """A file name in BIDS.

    Parameters
    ----------
    entities : mapping of str to str
        Such as ``{"sub": "01", "space": "MNI"}``.
    suffix : str
        The last part, such as ``T1w`` or ``dseg``.
    words : frozenset of str
        All parts that are no entities, the suffix among them.
    structure : str
        What a label image shows, if that is one thing: the value of ``label-`` of a mask.
    """

    entities: Mapping[str, str]
    suffix: str
    words: frozenset[str] = field(default_factory=frozenset)
    structure: str = ""

    @property
    def is_labels(self) -> bool:
        """Whether it is a label image: by its suffix, or by ``_label-`` or ``_seg-``."""
        return self.suffix in LABEL_SUFFIXES or "label" in self.entities or "seg" in self.entities

    def best(self, images: Iterable[Path]) -> list[Path]:
        """Return the images that fit these labels best; more than one if it cannot be told."""
        fitting = [path for path in images if self._fits(name_of(path))]
        # Labels often repeat the suffix of their image: sub-01_T2w_seg-manual.
        same = [path for path in fitting if name_of(path).suffix in self.words]
        return same or fitting

    def _fits(self, image: Name) -> bool:
        plain = {key: value for key, value in image.entities.items() if key not in _OF_LABELS}
        in_space = all(_space(self, key) == _space(image, key) for key in _SPACES)
        shared = {key: value for key, value in plain.items() if key not in _SPACES}
        return in_space and shared.items() <= self.entities.items()


def name_of(path: Path) -> Name:
    """Return what a path's name says, in small letters; names that are no BIDS have no entities."""
    name = stem(path)
    parts = folded(name).split("_")
    pairs = dict(part.split("-", 1) for part in parts if "-" in part)
    words = [part for part in parts if "-" not in part]
    suffix = words[-1] if words else ""
    found = _STRUCTURE.search(name) if suffix in _MASKS else None
    return Name(pairs, suffix, frozenset(words), found[1] if found else "")


def _space(name: Name, key: str) -> str | None:
    value = name.entities.get(key)
    return None if value in _NATIVE else value

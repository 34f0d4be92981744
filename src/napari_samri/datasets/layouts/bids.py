"""BIDS derivatives: label images by subject, whose image is in the derivative or the raw tree.

References
----------
BIDS, "Imaging data types" of derivatives: https://bids-specification.readthedocs.io
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import (
    ADVICE,
    Case,
    Findings,
    images_below,
    is_nifti_name,
    shown,
    stem,
    subfolders,
)
from napari_samri.datasets.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class BidsLayout:
    """``derivatives/*/sub-XX/[ses-YY/]anat/*_dseg.nii.gz``, also ``_mask`` and ``_seg``.

    The root is the raw data set, or a derivative that holds the images itself. An image fits
    labels if it has none of BIDS' entities with a value that the labels lack, and both are
    in one space; of several, those of the derivative come first. The patient is ``sub-XX``. Masks
    with ``_label-XX`` show one structure each.
    """

    id: str = "bids"
    looks_for: str = "derivatives/*/sub-XX/**/anat/*_dseg.nii.gz (or _mask, _seg)"

    def recognises(self, path: Path) -> bool:
        """Tell whether a subject has labels."""
        if not path.is_dir():
            return False
        subjects = (subject for tree in _derivatives(path) for subject in _subjects(tree))
        return any(_labels(subject) for subject in subjects)

    def find(self, path: Path) -> Findings:
        """Find each label file's image."""
        cases: list[Case] = []
        problems: list[str] = []
        subjects = [subject for tree in _derivatives(path) for subject in _subjects(tree)]
        masks = {subject: _labels(subject) for subject in subjects}
        for subject in subjects:
            images = _Images(_images(subject), _images(_raw(path, subject)))
            for mask in masks[subject]:
                image = images.of(mask)
                if isinstance(image, str):
                    problems.append(f"{shown(mask, path)}: {image}")
                else:
                    structure = name_of(mask).structure
                    cases.append(Case(image, mask, subject.name, structure=structure))
        names, more = names_of_labels([mask for found in masks.values() for mask in found], path)
        labelled = {folded(subject.name) for subject, found in masks.items() if found}
        rest = sum(len(_images(s)) for s in _subjects(path) if folded(s.name) not in labelled)
        return Findings(
            path,
            tuple(cases),
            (*problems, *more),
            {"images of subjects without labels": rest},
            names,
        )


@dataclass(frozen=True)
class _Images:
    """The images of a subject: in the derivative, and in the raw tree."""

    derived: tuple[Path, ...]
    raw: tuple[Path, ...]

    def of(self, labels: Path) -> Path | str:
        """Return the image of labels, or what is wrong."""
        for images in (self.derived, self.raw):
            fitting = name_of(labels).best(images)
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                names = ", ".join(sorted(path.name for path in fitting))
                return f"several images fit ({names}); expected one. Name the pairs in a CSV."
        return f"labels without an image. {ADVICE}"


def _derivatives(path: Path) -> list[Path]:
    """Return the trees that may hold labels: all derivatives, or the folder itself."""
    derivatives = path / "derivatives"
    return [*(subfolders(derivatives) if derivatives.is_dir() else ()), path]


def _subjects(tree: Path) -> list[Path]:
    return [folder for folder in subfolders(tree) if folder.name.lower().startswith("sub-")]


def _raw(path: Path, subject: Path) -> Path:
    """Return a subject's folder in the raw tree, under any spelling."""
    exact = path / subject.name
    if exact.is_dir():
        return exact
    same = (each for each in _subjects(path) if folded(each.name) == folded(subject.name))
    return next(same, exact)


def _anatomy(subject: Path) -> list[Path]:
    """Return the NIfTI files in a subject's anat folders, of all sessions."""
    if not subject.is_dir():
        return []
    files = filter(is_nifti_name, images_below(subject))
    return [file for file in files if file.parent.name.lower() == "anat"]


def _labels(subject: Path) -> list[Path]:
    return [file for file in _anatomy(subject) if name_of(file).is_labels]


def _images(subject: Path) -> tuple[Path, ...]:
    return tuple(file for file in _anatomy(subject) if not name_of(file).is_labels)


LABEL_SUFFIXES = ("dseg", "mask", "seg")
# Entities that describe labels, or how a derivative was made: an image need not share them.
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
        """Return the images that fit these labels best; more than one if none is best."""
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


def names_of_labels(labels: Iterable[Path], root: Path) -> tuple[dict[int, str], list[str]]:
    """Return the names in all tables that belong to label files, and problems with tables.

    A table belongs to label files in its folder or below it whose names have all its entities
    (BIDS' inheritance). A label that two tables name differently is not known by name.
    """
    names: dict[int, set[str]] = {}
    problems = []
    for table in sorted({table for path in labels for table in _tables(path, root)}):
        try:
            for label, name in _read_table(table):
                names.setdefault(label, set()).add(name)
        except (OSError, ValueError, csv.Error) as error:
            problems.append(
                f"{shown(table, root)}: cannot be used ({error}), so its labels have no names; "
                "expected tabs between the columns index and name."
            )
    return {
        label: min(found) for label, found in sorted(names.items()) if len(found) == 1
    }, problems


def _tables(labels: Path, root: Path) -> list[Path]:
    """Return the tables of a label file, in its folder and all above it up to the root."""
    entities = name_of(labels).entities.items()
    folders = [folder for folder in labels.parents if folder.is_relative_to(root)]
    found = [table for folder in folders for table in sorted(folder.glob("*dseg.tsv"))]
    return [table for table in found if name_of(table.with_suffix("")).entities.items() <= entities]


def _read_table(table: Path) -> list[tuple[int, str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if not {"index", "name"} <= set(reader.fieldnames or ()):
            message = f"its columns are {', '.join(reader.fieldnames or ()) or 'none'}"
            raise ValueError(message)
        rows = [(int(row["index"]), str(row["name"])) for row in reader if row["index"]]
    return [(label, name) for label, name in rows if label > 0]

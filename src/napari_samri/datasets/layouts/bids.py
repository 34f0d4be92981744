"""BIDS derivatives: label images by subject, whose image is in the derivative or the raw tree.

References
----------
BIDS, "Imaging data types" of derivatives: https://bids-specification.readthedocs.io
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import Case, Findings
from napari_samri.datasets.layouts.bids_names import name_of
from napari_samri.datasets.layouts.bids_tables import names_of_labels
from napari_samri.datasets.layouts.files import images_below, is_nifti_name, subfolders
from napari_samri.datasets.layouts.matching import ADVICE, shown
from napari_samri.datasets.spelling import folded

if TYPE_CHECKING:
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
    """Return a subject's folder in the raw tree, however it is spelled."""
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

"""TotalSegmentator: a folder for each case, with an image and a file for each organ.

References
----------
Wasserthal et al. 2023, "TotalSegmentator: Robust Segmentation of 104 Anatomic Structures in CT
Images", https://doi.org/10.1148/ryai.230024; the MRI data: https://doi.org/10.5281/zenodo.11367004
"""

from __future__ import annotations

from dataclasses import dataclass
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
from napari_samri.datasets.spelling import composed

if TYPE_CHECKING:
    from pathlib import Path

_MASKS = "segmentations"
_IMAGES = ("mri", "mr", "ct", "image")


@dataclass(frozen=True)
class TotalSegmentatorLayout:
    """``CASE/mri.nii.gz`` (or ``ct``) beside ``CASE/segmentations/ORGAN.nii.gz``.

    The root holds cases, or is one. The organs become one label map, numbered by alphabet over
    all cases; the patient is CASE.
    """

    id: str = "totalsegmentator"
    looks_for: str = "CASE/mri.nii.gz (or ct.nii.gz) beside CASE/segmentations/ORGAN.nii.gz"

    def recognises(self, path: Path) -> bool:
        """Tell whether there is a case."""
        return any(_image(case) is not None for case in _cases(path))

    def find(self, path: Path) -> Findings:
        """Take each case's image with all of its organs."""
        cases: list[Case] = []
        problems = []
        for folder in _cases(path):
            image = _image(folder)
            organs = [
                file
                for file in images_below(folder / _MASKS)
                if is_nifti_name(file) and file.parent == folder / _MASKS
            ]
            if image is None or not organs:
                what = "has no organs" if image else f"has no image called {' or '.join(_IMAGES)}"
                problems.append(f"{shown(folder, path)}: {what}. {ADVICE}")
                continue
            name = composed(folder.name)
            cases += [Case(image, organ, name, structure=stem(organ)) for organ in organs]
        return Findings(path, tuple(cases), tuple(problems))


def _cases(path: Path) -> list[Path]:
    """Return the folders that hold segmentations: the root itself, or those in it and below."""
    if not path.is_dir():
        return []
    if (path / _MASKS).is_dir():
        return [path]
    inner = subfolders(path)
    found = [folder for folder in inner if (folder / _MASKS).is_dir()]
    return found or [
        folder for each in inner for folder in subfolders(each) if (folder / _MASKS).is_dir()
    ]


def _image(case: Path) -> Path | None:
    """Return the image of a case, by its name."""
    files = {
        stem(file).lower(): file
        for file in sorted(case.iterdir())
        if is_nifti_name(file) and not file.name.startswith(".")
    }
    return next((files[name] for name in _IMAGES if name in files), None)

"""ACDC: a folder for each patient, with frames of the heart and the experts' labels.

References
----------
Bernard et al. 2018, "Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures
Segmentation and Diagnosis", https://doi.org/10.1109/TMI.2018.2837502
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import (
    Case,
    Findings,
    by_key,
    images_below,
    match,
    patient_of,
    stem,
)

if TYPE_CHECKING:
    from pathlib import Path

_LABELS = re.compile(r"_gt$", re.IGNORECASE)
_SERIES = re.compile(r"_4d$", re.IGNORECASE)
_Key = tuple["Path", str]


@dataclass(frozen=True)
class AcdcLayout:
    """``patient001/patient001_frame01`` beside ``patient001_frame01_gt``.

    The film of the whole heartbeat, ``patient001_4d``, is skipped. The patient is the first
    folder that names one, or else the name without its frame.
    """

    id: str = "acdc"
    looks_for: str = "NAME.nii.gz beside NAME_gt.nii.gz, as patient001_frame01"

    def recognises(self, path: Path) -> bool:
        """Tell whether an image has such labels."""
        if not path.is_dir():
            return False
        files = images_below(path)
        labels = {key for file in files if (key := _labels_key(file)) is not None}
        return any(_image_key(file) in labels for file in files)

    def find(self, path: Path) -> Findings:
        """Match NAME with NAME_gt in each folder."""
        files = images_below(path)
        films = [file for file in files if _SERIES.search(stem(file))]
        images = by_key([file for file in files if file not in films], _image_key)
        matched, problems = match(images, by_key(files, _labels_key), path)
        cases = (
            Case(image, mask, patient_of(image.relative_to(path), key[1]))
            for key, image, mask in matched
        )
        return Findings(path, tuple(cases), tuple(problems), {"films of a heartbeat": len(films)})


def _image_key(file: Path) -> _Key | None:
    name = stem(file)
    return None if _LABELS.search(name) else (file.parent, name)


def _labels_key(file: Path) -> _Key | None:
    name = stem(file)
    return (file.parent, _LABELS.sub("", name)) if _LABELS.search(name) else None

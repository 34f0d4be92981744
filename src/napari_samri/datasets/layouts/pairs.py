"""``NAME_img.nii.gz`` beside ``NAME_seg.nii.gz``, in one folder or in folders of patients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import Case, Findings
from napari_samri.datasets.layouts.files import images_below, patient_of, stem
from napari_samri.datasets.layouts.matching import by_key, match

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_END = re.compile(r"_(img|image)$", re.IGNORECASE)
LABELS_END = re.compile(r"_(seg|dseg|mask|labels?)$", re.IGNORECASE)
_Key = tuple["Path", str]


@dataclass(frozen=True)
class PairsLayout:
    """Pairs by the ends of their names.

    The patient is the first folder below the root, or else NAME.
    """

    id: str = "pairs"
    looks_for: str = "NAME_img.nii.gz beside NAME_seg.nii.gz"

    def recognises(self, path: Path) -> bool:
        """Tell whether there is an image and a label file of such names."""
        if not path.is_dir():
            return False
        files = images_below(path)
        return any(map(_image_key, files)) and any(map(_labels_key, files))

    def find(self, path: Path) -> Findings:
        """Match NAME with NAME in each folder."""
        files = images_below(path)
        images, labels = by_key(files, _image_key), by_key(files, _labels_key)
        matched, problems = match(images, labels, path)
        cases = (
            Case(image, mask, patient_of(image.relative_to(path), IMAGE_END.sub("", stem(image))))
            for _, image, mask in matched
        )
        others = len(files) - sum(len(group) for group in (*images.values(), *labels.values()))
        return Findings(path, tuple(cases), tuple(problems), {"files of other names": others})


def _image_key(path: Path) -> _Key | None:
    return _key(path, IMAGE_END)


def _labels_key(path: Path) -> _Key | None:
    return _key(path, LABELS_END)


def _key(path: Path, end: re.Pattern[str]) -> _Key | None:
    name = stem(path)
    return (path.parent, end.sub("", name)) if end.search(name) else None

"""SAMRI's own layout: ``SET/{training,validation,testing}/CASE_img_N`` with ``CASE_seg_N``.

Its split is not used: it was made by slice, and slices of one patient are on both sides.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import (
    Case,
    Findings,
    by_key,
    images_below,
    match,
    shown,
    stem,
    subfolders,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDERS = ("training", "validation", "testing")
_NAME = re.compile(r"^(?P<case>.+)_(?P<kind>img|seg)_(?P<number>.+)$", re.IGNORECASE)
_Key = tuple["Path", str, str]
_Files = dict[_Key, list["Path"]]


@dataclass(frozen=True)
class SamriLayout:
    """Slices in folders of a split; the root is a set, or holds sets.

    CASE is taken for the patient and N for the slice: if N counts patients instead, give a
    pattern that says so. Where as many images as labels of a case have no partner of their number,
    the numbers are shifted, and nothing of that case in that folder is used.
    """

    id: str = "samri"
    looks_for: str = "training/, validation/ or testing/ with CASE_img_N and CASE_seg_N"

    def recognises(self, path: Path) -> bool:
        """Tell whether there is such a folder with an image and labels."""
        if not path.is_dir():
            return False
        files = [file for folder in _sets(path) for file in _files(folder)]
        return any(_image_key(file) for file in files) and any(_labels_key(file) for file in files)

    def find(self, path: Path) -> Findings:
        """Match images and labels of one case and number in one folder."""
        sets = _sets(path)
        files = [file for folder in sets for file in _files(folder)]
        images, labels = by_key(files, _image_key), by_key(files, _labels_key)
        shifted = _shifted(images, labels)
        problems = [_shift_problem(images, labels, group, path) for group in sorted(shifted)]
        images, labels = _without(images, shifted), _without(labels, shifted)
        matched, unmatched = match(images, labels, path)
        cases = tuple(
            Case(image, mask, case, "" if sets == [path] else folder.parent.name)
            for (folder, case, _), image, mask in matched
        )
        return Findings(path, cases, (*problems, *unmatched))


def _sets(path: Path) -> list[Path]:
    """Return the folders that hold training, validation and testing."""
    if _parts(path):
        return [path]
    return [folder for folder in subfolders(path) if _parts(folder)]


def _parts(path: Path) -> list[Path]:
    return [path / name for name in FOLDERS if (path / name).is_dir()]


def _files(folder: Path) -> list[Path]:
    return [file for part in _parts(folder) for file in images_below(part) if file.parent == part]


def _image_key(path: Path) -> _Key | None:
    return _key(path, "img")


def _labels_key(path: Path) -> _Key | None:
    return _key(path, "seg")


def _key(path: Path, kind: str) -> _Key | None:
    found = _NAME.match(stem(path))
    if found is None or found["kind"].lower() != kind:
        return None
    return path.parent, found["case"], found["number"]


def _shifted(images: _Files, labels: _Files) -> set[tuple[Path, str]]:
    """Return the cases of which as many images as labels are without a partner, above none."""
    lone_images = Counter(key[:2] for key in images.keys() - labels.keys())
    lone_labels = Counter(key[:2] for key in labels.keys() - images.keys())
    return {group for group, count in lone_images.items() if count == lone_labels[group]}


def _shift_problem(images: _Files, labels: _Files, group: tuple[Path, str], root: Path) -> str:
    numbers = [
        ", ".join(sorted(number for *owner, number in files if tuple(owner) == group))
        for files in (images, labels)
    ]
    folder, case = group
    return (
        f"{shown(folder, root)}: the images {case}_img_* have the numbers {numbers[0]}, the labels "
        f"{case}_seg_* {numbers[1]}: it is not known which belong together, so none is used. "
        "Rename them, or name the pairs in a CSV."
    )


def _without(files: Mapping[_Key, list[Path]], groups: set[tuple[Path, str]]) -> _Files:
    return {key: found for key, found in files.items() if key[:2] not in groups}

"""BraTS: a folder for each case, with four contrasts and one segmentation.

References
----------
BraTS 2018 to 2021 name them ``CASE_t1``, ``_t1ce``, ``_t2``, ``_flair`` and ``_seg``; BraTS 2023
and later ``CASE-t1n``, ``-t1c``, ``-t2w``, ``-t2f`` and ``-seg``: https://www.synapse.org/brats
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
    key_without,
    match,
)
from napari_samri.datasets.name_parts import has_number, says_no_person
from napari_samri.datasets.spelling import composed

if TYPE_CHECKING:
    from pathlib import Path

_CONTRAST = re.compile(r"(^|[_-])(t1|t1ce|t1gd|t1c|t1n|t2|t2w|t2f|flair)$", re.IGNORECASE)
_LABELS = re.compile(r"(^|[_-])seg$", re.IGNORECASE)
_Key = tuple["Path", str]


@dataclass(frozen=True)
class BratsLayout:
    """``CASE/CASE_t1ce`` and other contrasts beside ``CASE_seg``, or ``CASE/t1`` beside ``seg``.

    Each contrast is a study of its own. The case is named by the files, or else by
    their folder.
    """

    id: str = "brats"
    looks_for: str = "CASE_t1, CASE_t1ce, CASE_t2 or CASE_flair (or -t1n, -t1c, ...) and CASE_seg"

    def recognises(self, path: Path) -> bool:
        """Tell whether a folder has a contrast and a segmentation of one case."""
        if not path.is_dir():
            return False
        files = images_below(path)
        return not _keys(files, _CONTRAST).isdisjoint(_keys(files, _LABELS))

    def find(self, path: Path) -> Findings:
        """Match the contrasts of each case with its segmentation."""
        files = images_below(path)
        images = by_key(files, lambda file: key_without(file, _CONTRAST))
        labels = by_key(files, lambda file: key_without(file, _LABELS))
        matched, problems = match(images, labels, path)
        cases = (Case(image, mask, _case(key, path)) for key, image, mask in matched)
        others = len(files) - sum(len(group) for group in (*images.values(), *labels.values()))
        return Findings(path, tuple(cases), tuple(problems), {"files of other names": others})


def _keys(files: list[Path], end: re.Pattern[str]) -> set[_Key]:
    return {key for file in files if (key := key_without(file, end)) is not None}


def _case(key: _Key, root: Path) -> str:
    folder, name = key
    if folder == root or (name and has_number(name) and not says_no_person(name)):
        return name or composed(folder.name)
    return composed(folder.name)

"""nnU-Net's raw data (``CASE_0000.nii.gz``) and the Medical Segmentation Decathlon's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_samri.datasets.layouts.base import Case, Findings
from napari_samri.datasets.layouts.files import images_below, stem
from napari_samri.datasets.layouts.folders import CHANNEL
from napari_samri.datasets.layouts.matching import by_key, match

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

_MAX_NAMES_BYTES = 64 << 20


@dataclass(frozen=True)
class NnUNetLayout:
    """``imagesTr`` and ``labelsTr``, and ``imagesTs`` where there is ``labelsTs``.

    Each channel is a study of its own; the patient is CASE.
    """

    id: str = "nnunet"
    looks_for: str = "imagesTr/ beside labelsTr/, with dataset.json"

    def recognises(self, path: Path) -> bool:
        """Tell whether there are images and labels to train on."""
        return (path / "imagesTr").is_dir() and (path / "labelsTr").is_dir()

    def find(self, path: Path) -> Findings:
        """Match channels with labels, and read the labels' names from dataset.json."""
        cases, problems = _match(path, "Tr")
        tests = 0
        if (path / "labelsTs").is_dir():
            more, unmatched = _match(path, "Ts")
            cases, problems = cases + more, problems + unmatched
        elif (path / "imagesTs").is_dir():
            tests = len(images_below(path / "imagesTs"))
        try:
            names = label_names(path / "dataset.json")
        except ValueError as error:
            names = {}
            problems.append(f"dataset.json: cannot be used ({error}), so the labels have no names.")
        return Findings(
            path, tuple(cases), tuple(problems), {"test images without labels": tests}, names
        )


def _match(path: Path, suffix: str) -> tuple[list[Case], list[str]]:
    images, masks = images_below(path / f"images{suffix}"), images_below(path / f"labels{suffix}")
    labels = by_key(masks, lambda file: (stem(file),))
    pictures = by_key(images, lambda file: _case(file, labels))
    matched, problems = match(pictures, labels, path)
    return [Case(image, mask, key[0]) for key, image, mask in matched], problems


def _case(image: Path, known: Container[tuple[str]]) -> tuple[str]:
    """Return an image's case: its whole stem if labels are called so, as the Decathlon's are."""
    name = stem(image)
    return (name,) if (name,) in known else (CHANNEL.sub("", name),)


def label_names(path: Path) -> dict[int, str]:
    """Return the names in a dataset.json; none if there is no such file.

    ``{"1": "liver"}`` and ``{"liver": 1}`` are both in use. Names of regions, which stand for
    several labels, are passed over.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    try:
        with path.open("rb") as file:
            found: Any = json.loads(file.read(_MAX_NAMES_BYTES))
        items = found.get("labels", {}).items()
    except FileNotFoundError:
        return {}
    except (OSError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    pairs = (_label_and_name(key, value) for key, value in items)
    return {label: name for label, name in pairs if label > 0}


def _label_and_name(key: str, value: object) -> tuple[int, str]:
    """Return a label and its name, whichever way round; label 0 if it is none of both."""
    if isinstance(value, int):
        return value, key
    if isinstance(value, str) and key.isdecimal():
        return int(key), value
    return 0, ""

"""nnU-Net's raw data (``CASE_0000.nii.gz``) and the Medical Segmentation Decathlon's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_samri.codec import any_object, read_json, record
from napari_samri.datasets.layouts.base import Case, Findings, by_key, images_below, match, stem
from napari_samri.datasets.layouts.pairs import CHANNEL
from napari_samri.errors import InputError, MissingFileError
from napari_samri.geometry import MAX_LABEL

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from napari_samri.codec import Reader

# Only the names are read.
_NAMES: Reader[dict[str, Any]] = record(dict, {}, {"labels": any_object})


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
        except InputError as error:
            names = {}
            problems.append(f"dataset.json: cannot be used ({error}), so the labels have no names.")
        return Findings(
            path, tuple(cases), tuple(problems), {"test images without labels": tests}, names
        )


def _match(path: Path, suffix: str) -> tuple[list[Case], list[str]]:
    images, masks = images_below(path / f"images{suffix}"), images_below(path / f"labels{suffix}")
    labels = by_key(masks, lambda file: (stem(file),))
    keyed = by_key(images, lambda file: _case(file, labels))
    matched, problems = match(keyed, labels, path)
    return [Case(image, mask, key[0]) for key, image, mask in matched], problems


def _case(image: Path, known: Container[tuple[str]]) -> tuple[str]:
    """Return an image's case: its whole stem if labels are called so, as the Decathlon's are."""
    name = stem(image)
    return (name,) if (name,) in known else (CHANNEL.sub("", name),)


def label_names(path: Path) -> dict[int, str]:
    """Return the names in a dataset.json; none if there is no such file.

    ``{"1": "liver"}`` and ``{"liver": 1}`` are both in use. Names of regions, which stand for
    several labels, are skipped.

    Raises
    ------
    InputError
        If it is damaged.
    """
    try:
        labels: dict[str, Any] = read_json(path, _NAMES).get("labels", {})
    except MissingFileError:
        return {}
    pairs = (_label_and_name(key, value) for key, value in labels.items())
    return {label: name for label, name in pairs if 0 < label <= MAX_LABEL}


def _label_and_name(key: str, value: object) -> tuple[int, str]:
    """Return a label and its name, in either order; label 0 if the pair is neither."""
    if type(value) is int:
        return value, key
    if isinstance(value, str) and key.isdecimal() and len(key) <= len(str(MAX_LABEL)):
        return int(key), value
    return 0, ""

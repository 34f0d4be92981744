"""What must hold in a manifest before it is believed."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from napari_samri.datasets.rules import SPLITS
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.datasets.manifest import Manifest, Region, Study

MAX_LABEL = 65535


def check_manifest(manifest: Manifest) -> None:
    """Check that everything fits together.

    Raises
    ------
    ValueError
        If something does not.
    InputError
        If a path leaves its data set's root.
    """
    names = [dataset.name for dataset in manifest.datasets]
    if len(set(names)) < len(names):
        message = f"two data sets have one name: {names}"
        raise ValueError(message)
    for study in manifest.studies:
        for path in (study.image, study.labels, *(path for _, path in study.classes)):
            check_inside(path)
        for flaw in _flaws(study, names):
            message = f"{study.image}: {flaw}"
            raise ValueError(message)


def check_inside(path: str) -> None:
    """Raise InputError if a path of a manifest leaves its data set's root.

    Links inside of the root may lead anywhere: they are the reader's own.
    """
    parts = PurePosixPath(path.replace("\\", "/"))
    drive = len(path) > 1 and path[1] == ":"
    if parts.is_absolute() or drive or ".." in parts.parts or "\0" in path or not parts.parts:
        message = (
            f"the path {path!r} leaves its data set's root; expected a path below it. Nothing "
            "was read."
        )
        raise InputError(message)


def _flaws(study: Study, names: list[str]) -> Iterator[str]:
    if study.dataset not in names:
        yield f"its data set {study.dataset!r} is not among {names}"
    if study.split not in SPLITS or study.axis not in range(3):
        yield f"the split is {study.split!r} and the axis {study.axis}"
    elif min(study.shape) < 1 or not all(0 < mm < math.inf for mm in study.spacing_mm):
        yield f"the shape is {study.shape} and the spacing {study.spacing_mm} mm"
    else:
        yield from _choice_flaws(study)
        yield from _slice_flaws(study)


def _choice_flaws(study: Study) -> Iterator[str]:
    labels = [label for label, _ in study.classes]
    if len(set(labels)) < len(labels) or not all(1 <= label <= MAX_LABEL for label in labels):
        yield f"its classes have the labels {labels}; expected different ones from 1 to {MAX_LABEL}"
    if study.channel is not None and study.channel < 0:
        yield f"the channel is {study.channel}"


def _slice_flaws(study: Study) -> Iterator[str]:
    indices = [entry.index for entry in study.slices]
    size = study.shape[study.axis]
    if indices != sorted(set(indices)) or not all(0 <= index < size for index in indices):
        yield f"the slices are not in ascending order within 0 to {size - 1}"
    for entry in study.slices:
        if not all(_fits(region, study.slice_shape) for region in entry.regions):
            yield f"a region of slice {entry.index} does not lie on it"


def _fits(region: Region, slice_shape: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = region.box_xyxy
    inside = 0 <= x0 <= x1 < slice_shape[1] and 0 <= y0 <= y1 < slice_shape[0]
    return inside and 1 <= region.label <= MAX_LABEL and region.pixels > 0

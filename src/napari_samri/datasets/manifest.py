"""The manifest: which slices of which studies make up a training set, and how they are split.

Paths in it are relative to the root of their data set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from napari_samri.datasets.rules import SPLITS, Rules
from napari_samri.errors import InputError
from napari_samri.geometry import MAX_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_samri.datasets.rules import Split

KnownBy = Literal["table", "subject's folder", "pattern", "name"]


@dataclass(frozen=True, slots=True)
class Region:
    """A label on a slice.

    Parameters
    ----------
    label : int
        1 to 65535.
    pixels : int
        Its area.
    box_xyxy : tuple of int
        x0, y0, x1, y1: its first and last columns and rows, both included.
    components : int
        Connected parts (8 neighbours).
    """

    label: int
    pixels: int
    box_xyxy: tuple[int, int, int, int]
    components: int


@dataclass(frozen=True, slots=True)
class SliceEntry:
    """A slice that is worth embedding.

    Parameters
    ----------
    index : int
        Along the study's axis, in display order.
    image_hash, labels_hash : str
        Of the slice's pixels, 16 hexadecimal digits. The second is empty for a slice without
        labels.
    regions : tuple of Region
        The labels that are kept on it, by ascending label; at least one, if it has labels.
    """

    index: int
    image_hash: str
    labels_hash: str
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Study:
    """An image, its labels, and the slices of it that are kept.

    Parameters
    ----------
    dataset : str
        Name of its data set.
    patient : str
        The person imaged: all studies of a patient are in one split.
    split : str
        One of `napari_samri.datasets.rules.SPLITS`.
    image, labels : str
        Paths of files or DICOM folders, relative to the data set's root, with forward slashes.
        With `classes`, the labels are the first of their files. Empty labels: the image has none.
    axis : int
        Axis of `Volume.array` in display order that the slices are cut across.
    shape : tuple of int
        (slices, rows, columns) of the volume in display order.
    spacing_mm : tuple of float
        Along the same three axes.
    slices : tuple of SliceEntry
        By ascending index.
    channel : int or None
        Of a 4D image, which of its volumes; None for a 3D image.
    classes : tuple of (int, str)
        Where each structure has a file of its own: the label that its voxels stand for, and the
        file's path. Empty where one file holds all labels.
    """

    dataset: str
    patient: str
    split: str
    image: str
    labels: str
    axis: int
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    slices: tuple[SliceEntry, ...]
    channel: int | None = None
    classes: tuple[tuple[int, str], ...] = ()

    @property
    def slice_shape(self) -> tuple[int, int]:
        """(rows, columns) of its slices."""
        rows, columns = (n for axis, n in enumerate(self.shape) if axis != self.axis)
        return rows, columns

    @property
    def pixel_spacing_mm(self) -> tuple[float, float]:
        """Distances of the rows and of the columns of its slices."""
        rows, columns = (mm for axis, mm in enumerate(self.spacing_mm) if axis != self.axis)
        return rows, columns


@dataclass(frozen=True)
class DataSet:
    """Where the studies of a data set lie.

    Parameters
    ----------
    name : str
    root : str
        Absolute, or relative to the manifest's folder.
    layout : str
        Id of the layout it was found in, such as ``nnunet``.
    label_names : mapping of int to str
        As far as they are known.
    zero_shot : bool
        Held out whole.
    """

    name: str
    root: str
    layout: str
    label_names: Mapping[int, str] = field(default_factory=dict)
    zero_shot: bool = False


@dataclass(frozen=True)
class NameReading:
    """How the name of an image was read.

    Parameters
    ----------
    dataset, image : str
        As in the manifest.
    name : str
        What the layout takes for the name of a case: of a file, or of a folder.
    patient : str
    known_by : str
        What named the patient: ``table`` (a column), ``subject's folder`` (of BIDS),
        ``pattern`` or ``name``.
    parts : tuple of str
        Kinds of the parts of the name that say which image of the patient it is.
    """

    dataset: str
    image: str
    name: str
    patient: str
    known_by: KnownBy = "name"
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The studies of one or more data sets.

    Parameters
    ----------
    datasets : tuple of DataSet
        With different names.
    studies : tuple of Study
        In the order of data sets and of their images' paths.
    rules : Rules
        By which slices were chosen and patients split.
    left_out : mapping of str to int
        How much was left out, by reason.
    problems : tuple of str
        What was wrong with studies that are not among `studies`.
    names_read : tuple of NameReading
        How the name of each image was read, when the manifest was made; not written.
    """

    datasets: tuple[DataSet, ...]
    studies: tuple[Study, ...]
    rules: Rules = field(default_factory=Rules)
    left_out: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    names_read: tuple[NameReading, ...] = field(default=(), compare=False, repr=False)

    @property
    def rows(self) -> int:
        """How many slices there are in all."""
        return sum(len(study.slices) for study in self.studies)

    @property
    def empty_splits(self) -> tuple[Split, ...]:
        """The splits that should have patients, by the rules, and have none.

        Where all data sets are held out as zero-shot, none should.
        """
        if all(dataset.zero_shot for dataset in self.datasets):
            return ()
        found = {study.split for study in self.studies}
        return tuple(split for split in self.rules.shares if split not in found)


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
        labels = (study.labels,) if study.labels else ()
        for path in (study.image, *labels, *(path for _, path in study.classes)):
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
        if (entry.labels_hash and not study.labels) or (entry.regions and not entry.labels_hash):
            yield f"the labels of slice {entry.index} are not those of the study"
        if not all(_fits(region, study.slice_shape) for region in entry.regions):
            yield f"a region of slice {entry.index} does not lie on it"


def _fits(region: Region, slice_shape: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = region.box_xyxy
    inside = 0 <= x0 <= x1 < slice_shape[1] and 0 <= y0 <= y1 < slice_shape[0]
    return inside and 1 <= region.label <= MAX_LABEL and region.pixels > 0

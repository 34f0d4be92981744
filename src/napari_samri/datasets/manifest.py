"""The manifest: which slices of which studies make up a training set, and how they are split.

A JSON file. Paths in it are relative to the root of their data set, which in turn may be
relative to the manifest's folder, so that data and manifest can move together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.codec import (
    convert,
    flag,
    integer,
    list_of,
    map_of,
    number,
    optional,
    parse_json,
    read_bytes,
    record,
    row_of,
    text,
)
from napari_samri.datasets.checks import check_manifest
from napari_samri.datasets.rules import Rules
from napari_samri.datasets.spelling import real_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.datasets.people import NameReading

FORMAT = "napari-samri-manifest"
VERSION = 1
# Some 100 bytes a slice: room for millions.
_LIMIT_BYTES = 1 << 30
_HINT = "Make it anew with 'napari-samri prepare'."


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
        Of the slice's pixels, 16 hexadecimal digits.
    regions : tuple of Region
        The labels that are kept on it, at least one, by ascending label.
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
        Whoever is in the picture: all studies of a patient are in one split.
    split : str
        One of `napari_samri.datasets.rules.SPLITS`.
    image, labels : str
        Paths of files or DICOM folders, relative to the data set's root, with forward slashes.
        With `classes`, the labels are the first of their files.
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
        How many of what were left out, by reason.
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


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; an existing file is replaced only by a complete one.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    from napari_samri.atomic import replacing

    with replacing(path, durable=True) as temporary:
        temporary.write_bytes(manifest_to_json(manifest))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    InputError
        If it is missing, no manifest, of a newer version, damaged, or names paths that leave
        their data set's root.
    """
    content = read_bytes(path, _LIMIT_BYTES, pipes=True)
    return manifest_from_json(content, str(path))


def manifest_to_json(manifest: Manifest) -> bytes:
    """Return a manifest as JSON, one study a line; equal manifests give equal bytes."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "rules": manifest.rules.as_dict(),
        "left_out": dict(sorted(manifest.left_out.items())),
        "problems": list(manifest.problems),
        "datasets": [_dataset_to_dict(dataset) for dataset in manifest.datasets],
    }
    lines = ",\n".join(_dumps(_study_to_dict(study)) for study in manifest.studies)
    return f'{_dumps(head)[:-1]},"studies":[\n{lines}\n]}}\n'.encode()


def manifest_from_json(content: bytes, source: str) -> Manifest:
    """Read what `manifest_to_json` has written; `source` names it in errors.

    Raises
    ------
    InputError
        As `read_manifest`.
    """
    return parse_json(content, _MANIFEST, source, _LIMIT_BYTES, hint=_HINT)


def root_of(dataset: DataSet, manifest_path: Path) -> Path:
    """Return the folder that a data set's paths are relative to, as its disk spells it."""
    root = manifest_path.absolute().parent / dataset.root
    return real_path(root, Path(root.anchor))


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _dataset_to_dict(dataset: DataSet) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "root": dataset.root,
        "layout": dataset.layout,
        "label_names": {str(label): name for label, name in sorted(dataset.label_names.items())},
        "zero_shot": dataset.zero_shot,
    }


def _study_to_dict(study: Study) -> dict[str, Any]:
    return {
        "dataset": study.dataset,
        "patient": study.patient,
        "split": study.split,
        "image": study.image,
        "labels": study.labels,
        "axis": study.axis,
        "shape": study.shape,
        "spacing_mm": study.spacing_mm,
        "slices": [
            [
                entry.index,
                entry.image_hash,
                entry.labels_hash,
                [[r.label, r.pixels, *r.box_xyxy, r.components] for r in entry.regions],
            ]
            for entry in study.slices
        ],
        # Only where they say something: most manifests stay as they were, byte for byte.
        **({} if study.channel is None else {"channel": study.channel}),
        **({"classes": [list(pair) for pair in study.classes]} if study.classes else {}),
    }


def _checked(**entries: Any) -> Manifest:
    manifest = Manifest(**entries)
    check_manifest(manifest)
    return manifest


def _region(numbers: tuple[int, ...]) -> Region:
    label, pixels, x0, y0, x1, y1, components = numbers
    return Region(label, pixels, (x0, y0, x1, y1), components)


def _slice(values: tuple[Any, ...]) -> SliceEntry:
    return SliceEntry(*values)


def _as_written(value: object) -> float:
    """Read a finite number; 80 stays whole, since names of a bank's parts depend on the text."""
    number()(value)
    return value  # type: ignore[return-value]


_NAME = text()
_COUNT = integer(0)
_LABEL = convert(text(20, r"[0-9]+", "a label, in digits"), int)
_REGIONS = list_of(convert(row_of(*[integer()] * 7), _region))
_SLICE = convert(row_of(integer(), _NAME, _NAME, _REGIONS), _slice)
_RULES = {
    "min_pixels": integer(),
    "min_share": _as_written,
    "axis": optional(integer()),
    "train": _as_written,
    "validation": _as_written,
    "test": _as_written,
    "seed": integer(-(1 << 64), 1 << 64),
    "own_patients": flag,
}
_DATASET = record(
    DataSet,
    {
        "name": _NAME,
        "root": _NAME,
        "layout": _NAME,
        "label_names": map_of(_NAME, _LABEL),
        "zero_shot": flag,
    },
)
_STUDY = record(
    Study,
    {
        "dataset": _NAME,
        "patient": _NAME,
        "split": _NAME,
        "image": _NAME,
        "labels": _NAME,
        "axis": integer(),
        "shape": row_of(*[integer()] * 3),
        "spacing_mm": row_of(*[number()] * 3),
        "slices": list_of(_SLICE),
    },
    {
        "channel": optional(integer()),
        "classes": list_of(row_of(integer(), _NAME)),
    },
)
_MANIFEST = record(
    _checked,
    {
        "datasets": list_of(_DATASET),
        "studies": list_of(_STUDY),
        "rules": record(Rules, {}, _RULES, unknown="refuse"),
        "left_out": map_of(_COUNT),
        "problems": list_of(_NAME),
    },
    marks={"format": FORMAT, "version": VERSION},
)

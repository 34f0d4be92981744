"""Manifests as JSON files.

The roots of data sets may be relative to the manifest's folder, so that data and manifest can move
together.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_samri.atomic import replacing
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
from napari_samri.datasets.manifest import (
    DataSet,
    Manifest,
    Region,
    SliceEntry,
    Study,
    check_manifest,
)
from napari_samri.datasets.rules import Rules
from napari_samri.datasets.spelling import real_path
from napari_samri.errors import InputError

FORMAT = "napari-samri-manifest"
VERSION = 1
# Some 100 bytes a slice: room for millions.
_LIMIT_BYTES = 1 << 30
_HINT = "Prepare the data sets again."


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; an existing file is replaced only by a complete one.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
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


def with_relative_roots(manifest: Manifest, folder: Path) -> Manifest:
    """Return a manifest whose roots are relative to the folder that it will lie in.

    Raises
    ------
    InputError
        If a root lies on another drive.
    """
    base = os.path.realpath(folder)  # after a link, ".." is not the folder that it was before
    try:
        roots = [os.path.relpath(os.path.realpath(each.root), base) for each in manifest.datasets]
    except ValueError as error:
        message = (
            f"{folder}: a data set lies on another drive ({error}); expected all on one. Leave the "
            "roots absolute."
        )
        raise InputError(message) from error
    datasets = tuple(
        replace(dataset, root=Path(root).as_posix())
        for dataset, root in zip(manifest.datasets, roots, strict=True)
    )
    return replace(manifest, datasets=datasets)


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

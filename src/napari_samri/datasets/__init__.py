"""Data sets: folders of images and labels in, a manifest of slices to train on out."""

from napari_samri.datasets.hashing import image_hash, labels_hash
from napari_samri.datasets.manifest import (
    DataSet,
    Manifest,
    Region,
    SliceEntry,
    Study,
    read_manifest,
    root_of,
    write_manifest,
)
from napari_samri.datasets.people import NameReading
from napari_samri.datasets.preparing import prepare, prepare_steps
from napari_samri.datasets.roots import with_relative_roots
from napari_samri.datasets.rules import Rules
from napari_samri.datasets.sources import Source
from napari_samri.datasets.split import empty_splits

__all__ = [
    "DataSet",
    "Manifest",
    "NameReading",
    "Region",
    "Rules",
    "SliceEntry",
    "Source",
    "Study",
    "empty_splits",
    "image_hash",
    "labels_hash",
    "prepare",
    "prepare_steps",
    "read_manifest",
    "root_of",
    "with_relative_roots",
    "write_manifest",
]

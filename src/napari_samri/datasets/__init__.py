"""Data sets: folders of images and labels in, a manifest of slices to train on out."""

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
from napari_samri.datasets.rules import Rules

__all__ = [
    "DataSet",
    "Manifest",
    "Region",
    "Rules",
    "SliceEntry",
    "Study",
    "read_manifest",
    "root_of",
    "write_manifest",
]

"""Files in and out: volumes by a registry of readers, labels on exactly the source's grid."""

from napari_samri.io.dicom_scan import is_dicom_file
from napari_samri.io.label_rule import (
    could_be_labels,
    holds_labels,
    label_volume,
    load_labels,
    marked_labels,
)
from napari_samri.io.labels import save_labels
from napari_samri.io.registry import VolumeReader, can_read, load_volume, register_reader

__all__ = [
    "VolumeReader",
    "can_read",
    "could_be_labels",
    "holds_labels",
    "is_dicom_file",
    "label_volume",
    "load_labels",
    "load_volume",
    "marked_labels",
    "register_reader",
    "save_labels",
]

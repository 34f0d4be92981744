"""Files in and out: volumes by a registry of readers, labels on exactly the source's grid."""

from napari_samri.io.dicom_scan import is_dicom_file
from napari_samri.io.labels import holds_labels, save_labels
from napari_samri.io.registry import VolumeReader, can_read, load_volume, register_reader

__all__ = [
    "VolumeReader",
    "can_read",
    "holds_labels",
    "is_dicom_file",
    "load_volume",
    "register_reader",
    "save_labels",
]

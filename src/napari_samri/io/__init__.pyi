from .dicom_scan import is_dicom_file
from .images import in_radiological_order, save_image
from .label_rule import could_be_labels, holds_labels, label_volume, load_labels, marked_labels
from .labels import save_labels
from .phantom import make_phantom
from .registry import VolumeReader, can_read, load_volume, register_reader
from .sidecar import MARKS, read_sidecar, sidecar_path, writing_sidecar
from .template import template_file

__all__ = [
    "MARKS",
    "VolumeReader",
    "can_read",
    "could_be_labels",
    "holds_labels",
    "in_radiological_order",
    "is_dicom_file",
    "label_volume",
    "load_labels",
    "load_volume",
    "make_phantom",
    "marked_labels",
    "read_sidecar",
    "register_reader",
    "save_image",
    "save_labels",
    "sidecar_path",
    "template_file",
    "writing_sidecar",
]

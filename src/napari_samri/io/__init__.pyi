from .dicom_scan import is_dicom_file
from .label_rule import could_be_labels, label_volume, load_labels, marked_labels
from .registry import VolumeReader, can_read, load_volume, register_reader, unregister_reader
from .samples import make_phantom, template_file
from .sidecar import MARKS, read_sidecar, sidecar_path, writing_sidecar
from .writing import in_radiological_order, save_image, save_labels

__all__ = [
    "MARKS",
    "VolumeReader",
    "can_read",
    "could_be_labels",
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
    "unregister_reader",
    "writing_sidecar",
]

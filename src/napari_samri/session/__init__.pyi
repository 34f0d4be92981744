from .document import Document
from .engine import Engine, ProcessEngine
from .journal import Journal, discard_journal, find_recoverable, image_identity
from .labels import Edit, Label, LabelTable, checked_labels, differing_voxels
from .proposal import Preview
from .saving import SaveJob, prepare_save, read_saved
from .scheduler import Scheduler
from .session import Session
from .settings import Settings, read_settings, updated, write_settings

__all__ = [
    "Document",
    "Edit",
    "Engine",
    "Journal",
    "Label",
    "LabelTable",
    "Preview",
    "ProcessEngine",
    "SaveJob",
    "Scheduler",
    "Session",
    "Settings",
    "checked_labels",
    "differing_voxels",
    "discard_journal",
    "find_recoverable",
    "image_identity",
    "prepare_save",
    "read_saved",
    "read_settings",
    "updated",
    "write_settings",
]

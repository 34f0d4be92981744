from .edits import Edit
from .engine import Engine, ProcessEngine
from .journal import Journal, discard_journal, find_recoverable, image_identity
from .label_array import checked_labels
from .labels import Label, LabelTable
from .request import Preview
from .saving import SaveJob, prepare_save, read_saved
from .service import Activity, MaskService
from .session import Session
from .settings import Settings, read_settings, updated, write_settings
from .state import Document

__all__ = [
    "Activity",
    "Document",
    "Edit",
    "Engine",
    "Journal",
    "Label",
    "LabelTable",
    "MaskService",
    "Preview",
    "ProcessEngine",
    "SaveJob",
    "Session",
    "Settings",
    "checked_labels",
    "discard_journal",
    "find_recoverable",
    "image_identity",
    "prepare_save",
    "read_saved",
    "read_settings",
    "updated",
    "write_settings",
]

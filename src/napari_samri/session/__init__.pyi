from .engine import Engine, ProcessEngine
from .history import Document
from .journal import Journal, discard_journal, image_identity
from .labels import Edit, Label, LabelTable, checked_labels, differing_voxels
from .proposal import Preview
from .recovery import sweep_journals
from .saving import Savable, SaveJob, prepare_save, read_saved
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
    "Savable",
    "SaveJob",
    "Scheduler",
    "Session",
    "Settings",
    "checked_labels",
    "differing_voxels",
    "discard_journal",
    "image_identity",
    "prepare_save",
    "read_saved",
    "read_settings",
    "sweep_journals",
    "updated",
    "write_settings",
]

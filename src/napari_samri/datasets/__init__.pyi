from .hashing import image_hash, labels_hash
from .loading import load_study
from .manifest import (
    DataSet,
    Manifest,
    Region,
    SliceEntry,
    Study,
    manifest_from_json,
    manifest_to_json,
    read_manifest,
    root_of,
    write_manifest,
)
from .people import NameReading
from .preparing import prepare, prepare_steps
from .regions import choose_slices
from .roots import with_relative_roots
from .rules import SPLITS, Rules
from .sources import Source
from .split import empty_splits

__all__ = [
    "SPLITS",
    "DataSet",
    "Manifest",
    "NameReading",
    "Region",
    "Rules",
    "SliceEntry",
    "Source",
    "Study",
    "choose_slices",
    "empty_splits",
    "image_hash",
    "labels_hash",
    "load_study",
    "manifest_from_json",
    "manifest_to_json",
    "prepare",
    "prepare_steps",
    "read_manifest",
    "root_of",
    "with_relative_roots",
    "write_manifest",
]

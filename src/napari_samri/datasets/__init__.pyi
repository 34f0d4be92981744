from .loading import load_study
from .manifest import DataSet, Manifest, NameReading, Region, SliceEntry, Study
from .manifest_file import (
    manifest_from_json,
    manifest_to_json,
    read_manifest,
    root_of,
    with_relative_roots,
    write_manifest,
)
from .measuring import choose_slices, image_hash, labels_hash
from .preparing import prepare, prepare_steps
from .rules import SPLITS, Rules, shares_of
from .sources import Source

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
    "image_hash",
    "labels_hash",
    "load_study",
    "manifest_from_json",
    "manifest_to_json",
    "prepare",
    "prepare_steps",
    "read_manifest",
    "root_of",
    "shares_of",
    "with_relative_roots",
    "write_manifest",
]

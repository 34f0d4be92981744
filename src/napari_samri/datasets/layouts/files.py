"""Looking for images in folders, and what their names say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.datasets.name_parts import says_no_person
from napari_samri.datasets.spelling import composed
from napari_samri.errors import InputError
from napari_samri.filenames import NIFTI_SUFFIXES, has_suffix, stem_of
from napari_samri.io import can_read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path, PurePath

# Folders of these names say how somebody sorted the data, not who is in the picture.
_SPLITS = "training validation testing train val test"
_KINDS = "images image imgs img labels data raw anat nifti nii"
SORTING_FOLDERS = frozenset(f"{_SPLITS} {_KINDS}".split())


def is_nifti_name(path: PurePath) -> bool:
    """Tell whether a file is named like NIfTI."""
    return has_suffix(path, NIFTI_SUFFIXES)


def stem(path: PurePath) -> str:
    """Return a name without ``.nii`` or ``.nii.gz``, in Unicode's form NFC: names are compared."""
    return composed(stem_of(path, NIFTI_SUFFIXES))


def images_below(folder: Path) -> list[Path]:
    """Return all NIfTI files and all folders of DICOM below a folder, sorted.

    Hidden ones are passed over, such as the ``._`` files of macOS.

    Raises
    ------
    InputError
        If a folder cannot be listed.
    """
    return sorted(path for path in _below(folder, set()) if path != folder)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, sorted, without hidden ones."""
    return [path for path in _entries(folder) if path.is_dir()]


def patient_of(relative: PurePath, name: str) -> str:
    """Return who is in a picture: the first folder on the way to it, or else its name.

    Folders that only say how data were sorted, or which picture it is (``ses-1``, ``T1``), name
    nobody.
    """
    folders = [
        part
        for part in relative.parts[:-1]
        if part.lower() not in SORTING_FOLDERS and not says_no_person(part)
    ]
    return composed(folders[0] if folders else name)


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:  # links may lead in circles, or twice to one place
        return
    seen.add(real)
    entries = _entries(folder)
    files = [path for path in entries if is_nifti_name(path) and not path.is_dir()]
    folders = [path for path in entries if path.is_dir()]
    yield from files
    for inner in folders:
        yield from _below(inner, seen)
    if entries and not files and not folders and can_read(folder):
        yield folder


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        message = f"{folder}: cannot be listed ({error.strerror or error}); expected a folder."
        raise InputError(message) from error

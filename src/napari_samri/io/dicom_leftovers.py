"""Files beside a series that may have been slices of it before they were damaged."""

from __future__ import annotations

import re
import stat
import warnings
from typing import TYPE_CHECKING

from napari_samri.errors import InputError, InputWarning
from napari_samri.filenames import DICOM_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOOKED_AT = 4096
_OTHERS = {"dicomdir", "lockfile", "version", "desktop.ini", "thumbs.db"}
_NUMBERS = re.compile(r"[0-9]+")
# A suffix with a letter says what a file is; that of an identifier (1.2.840) says nothing.
_TELLING = re.compile(r"\.[0-9]*[a-z][0-9a-z_~-]*$", re.IGNORECASE)


def check_left_over(paths: Sequence[Path], slices: Sequence[Path]) -> None:
    """Refuse files that look like damaged slices, and warn of those that cannot be told.

    Without a slice in the middle, or every other one, a series looks whole and is spaced wrongly.

    Parameters
    ----------
    paths : sequence of path
        Files in the folder that do not begin as DICOM files do.
    slices : sequence of path
        The images there.

    Raises
    ------
    InputError
        If one is named as the slices are but for numbers, or has a suffix of DICOM before
        another one, as downloads that were broken off do.
    """
    patterns = {_pattern(path) for path in slices}
    for path in paths:
        if path.name.lower() in _OTHERS:
            continue
        inner = {f".{part}" for part in path.name.lower().split(".")[1:-1]}
        if _pattern(path) in patterns or inner & set(DICOM_SUFFIXES):
            message = (
                f"{path}: is named like a slice of the series, but {_found(path)}; expected an "
                "intact DICOM file. Get a fresh copy, or move it out of the folder."
            )
            raise InputError(message)
        if slices and not _TELLING.search(path.name) and not _is_text(path):
            message = (
                f"{path}: {_found(path)}, so the file was passed over. If it is a slice, the "
                "series is not whole: get a fresh copy."
            )
            warnings.warn(message, InputWarning, stacklevel=5)


def _pattern(path: Path) -> str:
    """Return a name in which each number stands for all."""
    return _NUMBERS.sub("0", path.name.lower())


def _found(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:
        return "it leads to no file"
    if not stat.S_ISREG(state.st_mode):
        return "it is no ordinary file"
    return "it does not begin as DICOM files do" if state.st_size else "it is empty"


def _is_text(path: Path) -> bool:
    """Tell whether a file begins with text, such as a note; an empty one does not."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_LOOKED_AT)
        text = head.decode("utf-8", "ignore" if len(head) == _LOOKED_AT else "strict")
    except (OSError, UnicodeDecodeError):
        return False
    return bool(text) and all(letter.isprintable() or letter.isspace() for letter in text)

"""What a file's name says: its suffix in any case, and the name that is left without it.

A name may have dots of its own (``sub-01.ses-1_T1.nii.gz``), so what counts as the suffix is
never guessed from the dots: callers say which suffixes there are.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

NIFTI_SUFFIXES = (".nii.gz", ".nii")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
# What common file systems allow, in bytes.
LONGEST_NAME = 255
# Formats of volumes that people have, whether or not there is a reader for them here.
VOLUME_SUFFIXES = (
    *NIFTI_SUFFIXES,
    *DICOM_SUFFIXES,
    *(".mgh.gz", ".mgh", ".mgz", ".mha", ".mhd", ".nrrd", ".nhdr"),
)


def suffix_of(path: PurePath | str, suffixes: Iterable[str]) -> str:
    """Return the longest of these suffixes that a name ends in, as it is written there.

    Parameters
    ----------
    path : path or str
        Only its last part counts.
    suffixes : iterable of str
        With their dots, such as ``.nii.gz``; upper and lower case are the same.

    Returns
    -------
    str
        Empty if there is none. A name that is nothing but a suffix has none.
    """
    name = PurePath(path).name
    lower = name.lower()
    found = [s for s in suffixes if lower.endswith(s.lower()) and len(s) < len(name)]
    return name[len(name) - max(map(len, found)) :] if found else ""


def has_suffix(path: PurePath | str, suffixes: Iterable[str]) -> bool:
    """Tell whether a name ends in one of these suffixes, in any case."""
    return bool(suffix_of(path, suffixes))


def stem_of(path: PurePath | str, suffixes: Iterable[str]) -> str:
    """Return a name without the longest of these suffixes; other dots stay."""
    name = PurePath(path).name
    return name[: len(name) - len(suffix_of(name, suffixes))]


def check_name(path: PurePath | str) -> None:
    """Refuse a path to write to that no file system can hold.

    Raises
    ------
    InputError
        If it has a null character, or a part of more than 255 bytes.
    """
    text = str(path)
    if "\0" in text:
        message = f"{text!r}: the name holds a null character; expected one without. Rename it."
        raise InputError(message)
    longest = max((len(os.fsencode(part)) for part in PurePath(path).parts), default=0)
    if longest > LONGEST_NAME:
        message = (
            f"{text[:80]}...: a part of the name takes {longest} bytes; expected at most "
            f"{LONGEST_NAME}. Choose a shorter one."
        )
        raise InputError(message)


def expand_user(path: PurePath | str) -> Path:
    """Return a path with its ``~`` replaced by the home folder.

    Raises
    ------
    InputError
        If there is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except (RuntimeError, KeyError) as error:
        message = (
            f"{path}: the home folder of '~' is not known; expected a path that begins with '/', "
            "or one of a user of this machine. Write the folder's whole path."
        )
        raise InputError(message) from error


def dialog_filter(title: str, suffixes: Iterable[str]) -> str:
    """Return a file dialog's filter, ``Title (*.nii *.NII)``: some dialogs mind the case."""
    patterns = [f"*{case}" for suffix in suffixes for case in (suffix.lower(), suffix.upper())]
    return f"{title} ({' '.join(patterns)})"

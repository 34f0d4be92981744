"""The headers of a folder's DICOM files, read without their pixels."""

from __future__ import annotations

import math
import os
import re
import stat
import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError, InputWarning, StoreError
from napari_samri.filenames import DICOM_SUFFIXES, has_suffix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydicom import Dataset

_MAGIC, _MAGIC_OFFSET = b"DICM", 128
_FILES_LOOKED_AT = 500
_INTEGERS = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")
_VECTORS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_REQUIRED = ("Columns", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
_KEYWORDS = (*_IDENTIFIERS, "SeriesNumber", "DirectoryRecordSequence", *_INTEGERS, *_VECTORS)
# What pydicom raises for damaged files, as found by changing bytes at random.
_DAMAGES = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class SliceFile:
    """A DICOM image and the part of its header that says what and where it is."""

    path: Path
    header: Dataset


def has_dicom_magic(head: bytes) -> bool:
    """Tell whether a file's first bytes are those of a DICOM file."""
    return head[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] == _MAGIC


def is_dicom_file(path: Path) -> bool:
    """Tell whether a file begins as DICOM files do; False if it cannot be read."""
    if not os.path.isfile(path):  # reading a pipe would block
        return False
    try:
        with path.open("rb") as file:
            return has_dicom_magic(file.read(_MAGIC_OFFSET + len(_MAGIC)))
    except OSError:
        return False


def may_hold_dicom(path: Path) -> bool:
    """Tell, from its first files, whether a path is a folder that may hold DICOM.

    A folder that cannot be listed, or whose first files are all something else while there
    are more, may: `scan_folder` finds out.
    """
    if not os.path.isdir(path):  # unlike Path.is_dir, this never raises
        return False
    try:
        files = (file for file in path.iterdir() if not file.name.startswith("."))
        for count, file in enumerate(files):
            if count == _FILES_LOOKED_AT:
                return True
            if has_suffix(file, DICOM_SUFFIXES) or is_dicom_file(file):
                return True
    except OSError:
        return True
    return False


def scan_folder(folder: Path, keywords: Sequence[str] = ()) -> list[SliceFile]:
    """Read the headers of all DICOM images directly in a folder.

    Other files, and DICOM files without an image, such as reports, are skipped; hidden
    ones too. What may have been a slice before it was damaged is not.

    Parameters
    ----------
    folder : path
    keywords : sequence of str
        What to read of each header, beside what says which image it is and where it lies.

    Raises
    ------
    InputError
        If the folder holds no image, or a damaged one: without it the volume would be short.
    """
    files, left_over = [], []
    for path in _listed(folder):
        if not _is_dicom(path):
            left_over.append(path)
            continue
        header = _read_header(path, [*_KEYWORDS, *keywords])
        if "Rows" in header:
            files.append(SliceFile(path, header))
        elif _is_image(header):
            raise InputError(_damaged(path, "it holds no image"))
    check_left_over(left_over, [file.path for file in files])
    if not files:
        message = f"{folder}: the folder holds no DICOM images; expected one series."
        raise InputError(message)
    return files


def _listed(folder: Path) -> list[Path]:
    """Return what is no folder in a folder, sorted, without hidden files."""
    try:
        return sorted(
            path for path in folder.iterdir() if path.name[0] != "." and not path.is_dir()
        )
    except OSError as error:
        message = f"{folder}: the folder cannot be read ({error.strerror or error})."
        raise InputError(message) from error


def _is_dicom(path: Path) -> bool:
    if not path.is_file():  # a link to nothing; reading a pipe would block
        if has_suffix(path, DICOM_SUFFIXES):
            raise InputError(_damaged(path, "it is a link to a missing file, or no file"))
        return False
    try:
        with path.open("rb") as file:
            found = has_dicom_magic(file.read(_MAGIC_OFFSET + len(_MAGIC)))
    except OSError as error:
        raise InputError(_damaged(path, error.strerror or str(error))) from error
    if not found and has_suffix(path, DICOM_SUFFIXES):
        raise InputError(_damaged(path, "it does not begin as DICOM files do"))
    return found


def _read_header(path: Path, keywords: list[str]) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        # pydicom warns of identifiers that break its rules; they only need to be equal here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(path, stop_before_pixels=True, specific_tags=keywords)
            _check_values(header)
    except (*_DAMAGES, BytesLengthException, InvalidDicomError) as error:
        # Not pydicom's own message: it may quote the patient's data.
        raise InputError(_damaged(path, "its header is damaged")) from error
    return header


def _check_values(header: Dataset) -> None:
    """Raise ValueError, or what pydicom raises, unless all values are what they should be."""
    for element in header:
        str(element.value)
    for name in _INTEGERS:
        int(header.get(name) or 1)
    for name in _IDENTIFIERS:
        if not isinstance(header.get(name, ""), str):
            message = f"its {name} is {header[name].value}"
            raise TypeError(message)
    for name, count in _VECTORS.items():
        values: Any = header.get(name) or ()
        if values and (len(values) != count or not all(math.isfinite(float(v)) for v in values)):
            message = f"its {name} is {values}"
            raise ValueError(message)
    missing = [name for name in _REQUIRED if not header.get(name)]
    if "Rows" in header and missing:
        message = f"it has no {' and no '.join(missing)}"
        raise ValueError(message)


def write_moved(path: Path, position_mm: list[float], target: Path) -> None:
    """Write a copy of a slice that says that it lies elsewhere, in LPS+ mm.

    Raises
    ------
    InputError
        If the slice is damaged.
    StoreError
        If the copy cannot be written.
    """
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = dcmread(path)
            # At most 16 characters, as decimal strings are.
            image.ImagePositionPatient = [f"{value:.9g}" for value in position_mm]
            content = BytesIO()
            image.save_as(content)
    except (*_DAMAGES, BytesLengthException, InvalidDicomError) as error:
        raise InputError(_damaged(path, "its header is damaged")) from error
    try:
        target.write_bytes(content.getvalue())
    except OSError as error:
        message = f"{target}: cannot be written ({error.strerror or error})."
        raise StoreError(message) from error


def _is_image(header: Dataset) -> bool:
    """Tell whether a file without pixels should have some, as far as its class says."""
    found = header.get("SOPClassUID")
    if not found:  # cut off, or a DICOMDIR, which has no class of its own
        return "DirectoryRecordSequence" not in header
    known = found.name != found
    return "Image" in found.name if known else not (found.is_valid and found.is_private)


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path}: cannot be read ({reason}); expected an intact DICOM file. Get a fresh copy, or "
        "move it out of the folder."
    )


_LOOKED_AT = 4096
_OTHERS = {"dicomdir", "lockfile", "version", "desktop.ini", "thumbs.db"}
_NUMBERS = re.compile(r"[0-9]+")
# A suffix with a letter says what a file is; that of an identifier (1.2.840) says nothing.
_TELLING = re.compile(r"\.[0-9]*[a-z][0-9a-z_~-]*$", re.IGNORECASE)


def check_left_over(paths: Sequence[Path], slices: Sequence[Path]) -> None:
    """Refuse files that look like damaged slices, and warn of those that may be slices.

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
                f"{path}: {_found(path)}, so the file was skipped. If it is a slice, the "
                "series is incomplete: get a fresh copy."
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

"""The headers of a folder's DICOM files, read without their pixels."""

from __future__ import annotations

import math
import os
import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError, StoreError
from napari_samri.filenames import DICOM_SUFFIXES, has_suffix
from napari_samri.io.dicom_agreement import TAGS
from napari_samri.io.dicom_leftovers import check_left_over

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

_MAGIC, _MAGIC_OFFSET = b"DICM", 128
_FILES_LOOKED_AT = 500
_INTEGERS = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")
_VECTORS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_REQUIRED = ("Columns", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
_TAGS = [*_IDENTIFIERS, "SeriesNumber", "DirectoryRecordSequence", *_INTEGERS, *_VECTORS, *TAGS]
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
    if not os.path.isfile(path):  # a pipe, for one, would be waited for
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
    if not os.path.isdir(path):  # which, unlike Path.is_dir, raises for no path whatever
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


def scan_folder(folder: Path) -> list[SliceFile]:
    """Read the headers of all DICOM images directly in a folder.

    Other files, and DICOM files without an image, such as reports, are passed over; hidden
    ones too. What may have been a slice before it was damaged is not.

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
        header = _read_header(path)
        if "Rows" in header:
            files.append(SliceFile(path, header))
        elif _is_image(header):
            raise InputError(_damaged(path, "it holds no picture"))
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
    if not path.is_file():  # a link to nothing; a pipe, for one, would be waited for
        if has_suffix(path, DICOM_SUFFIXES):
            raise InputError(_damaged(path, "there is no such file behind its name"))
        return False
    try:
        with path.open("rb") as file:
            found = has_dicom_magic(file.read(_MAGIC_OFFSET + len(_MAGIC)))
    except OSError as error:
        raise InputError(_damaged(path, error.strerror or str(error))) from error
    if not found and has_suffix(path, DICOM_SUFFIXES):
        raise InputError(_damaged(path, "it does not begin as DICOM files do"))
    return found


def _read_header(path: Path) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        # pydicom warns of identifiers that break its rules; they only need to be equal here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
            _check_values(header)
    except (*_DAMAGES, BytesLengthException, InvalidDicomError) as error:
        # Not pydicom's own words: they may quote the patient's.
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
    """Tell whether a file without a picture should have one, as far as its class says."""
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

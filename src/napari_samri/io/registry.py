"""Readers of volumes, found by a file's first bytes and its name.

To add a format, write a `VolumeReader` and pass it to `register_reader`.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_samri.errors import InputError
from napari_samri.io.dicom import DicomReader
from napari_samri.io.nifti import NiftiReader

if TYPE_CHECKING:
    from napari_samri.geometry import Volume

SNIFFED_BYTES = 1024


class VolumeReader(Protocol):
    """Reads one format."""

    @property
    def format_name(self) -> str:
        """What people call the format, with its suffixes."""

    def accepts(self, path: Path, head: bytes) -> bool:
        """Tell from the first bytes (and the name) whether this reader is the one.

        `head` holds the first 1024 bytes, unpacked if the file is gzipped; it is empty for
        folders. Must be quick and must not raise.
        """

    def read(self, path: Path, max_voxels: int | None) -> Volume:
        """Read the file.

        Raises
        ------
        InputError, GeometryError
            If the file is damaged, no image, too large, or its geometry makes no sense.
        """


_readers: list[VolumeReader] = [NiftiReader(), DicomReader()]


def register_reader(reader: VolumeReader) -> None:
    """Add a reader; it is asked before those that were there."""
    _readers.insert(0, reader)


def load_volume(path: Path | str, *, max_voxels: int | None = None) -> Volume:
    """Read a volume from a NIfTI file or a folder of DICOM files.

    Parameters
    ----------
    path : path
    max_voxels : int, optional
        Read up to this many voxels; by default up to 2 GiB.

    Returns
    -------
    Volume
        In display order. NaN and infinities are 0, with an `InputWarning`.

    Raises
    ------
    InputError, GeometryError
        If the file is missing, damaged, no image, too large, or its geometry makes no sense.
    """
    path = Path(path).expanduser()
    if not path.exists():
        message = f"{path}: there is no such file or folder; expected an image."
        raise InputError(message)
    head = b"" if path.is_dir() else _head(path)
    for reader in _readers:
        if reader.accepts(path, head):
            return reader.read(path, max_voxels)
    formats = "; ".join(reader.format_name for reader in _readers)
    message = f"{path}: {_described(path, head)}; expected one of: {formats}."
    raise InputError(message)


def _head(path: Path) -> bytes:
    """Return a file's first bytes; of a gzip file, those inside."""
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                return unpacked.read(SNIFFED_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path}: a damaged gzip file ({error}); get a fresh copy."
        raise InputError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise InputError(message) from error
    return head


def _described(path: Path, head: bytes) -> str:
    if path.is_dir():
        return "the folder holds no DICOM files"
    if not head:
        return "the file is empty"
    if head.lstrip()[:1] == b"<":
        return "the file is a web page or XML, probably a failed download"
    if head.startswith(b"version https://git-lfs"):
        return "the file is a Git LFS pointer (fetch the real one with 'git lfs pull')"
    return "the file's first bytes belong to no format known here"

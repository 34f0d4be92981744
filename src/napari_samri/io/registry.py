"""Readers of volumes, found by a file's first bytes and its name.

To add a format, write a `VolumeReader`, and register it or name it by an entry point of the group
``napari_samri.readers``.
"""

from __future__ import annotations

import gzip
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from napari_samri.errors import InputError
from napari_samri.filenames import expand_user
from napari_samri.io.dicom import DicomReader
from napari_samri.io.nifti import NiftiReader
from napari_samri.io.nifti_header import HEAD_BYTES, looks_like
from napari_samri.plugins import Registry

if TYPE_CHECKING:
    from napari_samri.geometry import Volume


@runtime_checkable
class VolumeReader(Protocol):
    """Reads one format."""

    @property
    def format_name(self) -> str:
        """The format's name, with its suffixes."""

    def accepts(self, path: Path, head: bytes) -> bool:
        """Tell from the first bytes (and the name) whether this reader reads a file.

        `head` holds the first 1024 bytes, unpacked if the file is gzipped; it is empty for
        folders, and for files that cannot be read. Must be quick and must not raise.
        """

    def read(self, path: Path, max_voxels: int | None) -> Volume:
        """Read the file.

        Raises
        ------
        InputError, GeometryError
            If the file is damaged, no image, too large, or its geometry makes no sense.
        """


_readers: Registry[VolumeReader] = Registry(
    "napari_samri.readers", VolumeReader, lambda: (NiftiReader(), DicomReader())
)


def register_reader(reader: VolumeReader) -> None:
    """Add a reader; it is asked before those that were there."""
    _readers.register(reader)


def unregister_reader(reader: VolumeReader) -> None:
    """Remove a registered reader."""
    _readers.unregister(reader)


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
    path = expand_user(path)
    head = _head(path)
    for reader in _readers:
        if reader.accepts(path, head):
            return reader.read(path, max_voxels)
    formats = "; ".join(reader.format_name for reader in _readers)
    found = "the folder holds no DICOM images" if path.is_dir() else looks_like(head)
    message = f"{path}: {found}; expected one of: {formats}."
    raise InputError(message)


def can_read(path: Path | str) -> bool:
    """Tell whether `load_volume` may be able to read a file or folder, without reading it.

    Never raises. True also for what is only named like an image, such as a web page that was
    saved as ``.nii.gz``: `load_volume` says what is wrong with it.
    """
    try:
        path = expand_user(path)
        head = _head(path)
    except InputError:
        head = b""  # damaged, but perhaps named like an image
    except RuntimeError:  # the home folder of an unknown user
        return False
    return any(reader.accepts(Path(path), head) for reader in _readers)


def _head(path: Path) -> bytes:
    """Return a file's first bytes; of a gzip file, those inside; none of a folder."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return b""
        if not stat.S_ISREG(mode):  # reading a pipe, or a device, may never end
            message = f"{path}: is a pipe or a device; expected an ordinary file or a folder."
            raise InputError(message)
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                return unpacked.read(HEAD_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path}: a damaged gzip file ({error}); get a fresh copy."
        raise InputError(message) from error
    except FileNotFoundError as error:
        message = f"{path}: there is no such file or folder; expected an image."
        raise InputError(message) from error
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = error.strerror if isinstance(error, OSError) else None
        message = f"{path}: cannot be read ({reason or error})."
        raise InputError(message) from error
    return head

"""NIfTI-1 and NIfTI-2 in, read to the last byte."""

from __future__ import annotations

import gzip
import io
import os
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError

from napari_samri.errors import InputError, InputWarning
from napari_samri.filenames import NIFTI_SUFFIXES, has_suffix
from napari_samri.geometry import Grid, Volume, guess_plane_axis
from napari_samri.io.nifti_header import (
    HEAD_BYTES,
    checked_affine,
    checked_extent,
    checked_header,
    header_class,
    header_shape,
)

if TYPE_CHECKING:
    from pathlib import Path

    import nibabel as nib
    from numpy.typing import NDArray

    Array = NDArray[Any]

_CHUNK = 1 << 20
# What may lie before the voxels (extensions) or after them in a gzip file, in bytes.
_MOST_BESIDE = 64 << 20
_MOST_PADDING = 4096
# Deflate packs at most 1032 bytes into one (zlib, "Maximum Compression Factor").
_MOST_PACKED = 1040


@dataclass(frozen=True)
class NiftiReader:
    """Reads single-file NIfTI-1 and -2, plain or gzipped whatever the suffix says."""

    format_name: str = "NIfTI (.nii, .nii.gz)"

    def accepts(self, path: Path, head: bytes) -> bool:
        """Tell by the magic bytes; a file that is only named like NIfTI is also taken here."""
        return header_class(head) is not None or _is_named_nifti(path)

    def read(self, path: Path, max_voxels: int | None = None) -> Volume:
        """Read a file in full and return it in display order.

        Raises
        ------
        InputError, GeometryError
        """
        header, content = _read_file(path, max_voxels)
        grid = _grid(header, path)
        array = _voxels(header, content, path).reshape(grid.shape)
        return Volume.from_stored(_without_nonfinite(array, path), grid)


def _is_named_nifti(path: Path) -> bool:
    # unlike Path.is_file, os.path.isfile never raises
    return has_suffix(path, NIFTI_SUFFIXES) and os.path.isfile(path)


def _read_file(path: Path, max_voxels: int | None) -> tuple[nib.Nifti1Header, bytes]:
    """Return the header of a file, and the bytes of its voxels.

    Sizes are compared with the file's before anything is read. Of a plain file only the header
    and the voxels are read. A gzip file is read to its end, where its checksum is, unless it
    unpacks to much more than its voxels.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            length = raw.seek(0, io.SEEK_END)
        opener = gzip.open if packed else open
        with opener(path, "rb") as file:
            header = checked_header(file.read(HEAD_BYTES), path)
            begin, size = checked_extent(header, path, max_voxels)
            if packed:
                _check_unpacked(length * _MOST_PACKED, begin, size, header, path)
                content = _read_packed(file, begin, size, path)
            else:
                _check_length(length, begin, size, header, path)
                file.seek(begin)
                content = file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = (
            f"{path}: the gzip data are damaged ({error}); expected an intact file. "
            "Get a fresh copy."
        )
        raise InputError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise InputError(message) from error
    if len(content) < size:
        found = begin + len(content) if content else None
        raise InputError(_too_short(found, begin, size, header, path))
    return header, content


def _read_packed(file: Any, begin: int, size: int, path: Path) -> bytes:
    """Return the voxels of a gzip file; read on to its checksum, within limits.

    Fewer bytes come back if the file ends before.
    """
    file.seek(begin)
    parts, found = [], 0
    while found < size and (chunk := file.read(min(_CHUNK, size - found))):
        parts.append(chunk)
        found += len(chunk)
    after = 0
    while chunk := file.read(_CHUNK):
        after += len(chunk)
        if after > _MOST_BESIDE:
            message = (
                f"{path}: over {_MOST_BESIDE >> 20} MiB follow the voxels that the header claims; "
                "expected their end. The header is wrong or the file is damaged; get a fresh copy."
            )
            raise InputError(message)
    _warn_of_rest(after, path)
    return b"".join(parts)


def _check_unpacked(most: int, begin: int, size: int, header: nib.Nifti1Header, path: Path) -> None:
    """Refuse a gzip file that is too small for its voxels, or has too much before them."""
    if begin > _MOST_BESIDE:
        message = (
            f"{path}: the header says that the voxels begin at byte {begin:,}; expected at most "
            f"{_MOST_BESIDE >> 20} MiB before them. The header is damaged; get a fresh copy."
        )
        raise InputError(message)
    if begin + size > most:
        raise InputError(_too_short(None, begin, size, header, path))


def _check_length(length: int, begin: int, size: int, header: nib.Nifti1Header, path: Path) -> None:
    if length < begin + size:
        raise InputError(_too_short(length, begin, size, header, path))
    _warn_of_rest(length - begin - size, path)


def _too_short(
    found: int | None, begin: int, size: int, header: nib.Nifti1Header, path: Path
) -> str:
    holds = "fewer" if found is None else f"{found:,} bytes"
    return (
        f"{path}: the header claims voxels of shape {header_shape(header)} ({begin + size:,} "
        f"bytes), but the file holds {holds}. It is cut off or its header is wrong; get a "
        "fresh copy."
    )


def _warn_of_rest(count: int, path: Path) -> None:
    """Warn of bytes that the header does not account for: it may claim too small a shape."""
    if count > _MOST_PADDING:
        message = (
            f"{path.name}: {count:,} bytes follow the voxels that the header claims, and were "
            "skipped."
        )
        warnings.warn(message, InputWarning, stacklevel=6)


def _grid(header: nib.Nifti1Header, path: Path) -> Grid:
    shape = header_shape(header)
    affine = checked_affine(header, path)
    axis = guess_plane_axis((*shape, 1, 1)[:3], affine, header.get_dim_info()[2])
    return Grid(shape, affine, path, header.binaryblock, axis)


def _voxels(header: nib.Nifti1Header, content: bytes, path: Path) -> Array:
    """Return the voxels in their own dtype, or scaled to float32 if the header scales them."""
    try:
        slope, inter = header.get_slope_inter()
        spec = (header_shape(header), header.get_data_dtype(), 0, slope or 1.0, inter or 0.0)
        stored: Any = ArrayProxy(io.BytesIO(content), spec, mmap=False)
        if slope in {None, 1} and not inter:
            return np.asarray(stored.get_unscaled())
        with np.errstate(all="ignore"):
            return np.asarray(stored, dtype=np.float32)
    except (HeaderDataError, ValueError, OSError) as error:
        message = f"{path}: the voxels cannot be read ({error})."
        raise InputError(message) from error


def _without_nonfinite(array: Array, path: Path) -> Array:
    if array.dtype.kind != "f":
        return array
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    if count == array.size:
        message = f"{path}: all voxels are NaN or infinite; expected an image."
        raise InputError(message)
    if count:
        message = f"{path.name}: {count:,} voxels are NaN or infinite and count as 0."
        warnings.warn(message, InputWarning, stacklevel=4)
        array = np.where(bad, array.dtype.type(0), array)
    return array

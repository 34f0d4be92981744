"""NIfTI-1 and NIfTI-2 in, read to the last byte."""

from __future__ import annotations

import gzip
import io
import os
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError

from napari_samri.errors import InputError, InputWarning
from napari_samri.filenames import NIFTI_SUFFIXES, has_suffix
from napari_samri.geometry import Grid, Volume
from napari_samri.geometry.grid import guess_plane_axis
from napari_samri.io.nifti_header import (
    HEAD_BYTES,
    checked_affine,
    checked_end,
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
    # os.path.isfile, unlike Path.is_file, raises for no path whatever
    return has_suffix(path, NIFTI_SUFFIXES) and os.path.isfile(path)


def _read_file(path: Path, max_voxels: int | None) -> tuple[nib.Nifti1Header, bytes]:
    """Return the header of a file, and its unpacked bytes up to the last voxel.

    A gzip file is read to its end, where its checksum is; what it holds beyond the voxels
    is not kept, so that it cannot fill the memory.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        opener = gzip.open if packed else open
        with opener(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            header = checked_header(head, path)
            end = checked_end(header, path, max_voxels)
            content, found = _read_on(file, head, end)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = (
            f"{path}: the gzip data are damaged ({error}); expected an intact file. "
            "Get a fresh copy."
        )
        raise InputError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise InputError(message) from error
    if found < end:
        message = (
            f"{path}: the header claims voxels of shape {header_shape(header)} ({end:,} bytes), "
            f"but the file holds {found:,} bytes. It is cut off or its header is wrong; get a "
            "fresh copy."
        )
        raise InputError(message)
    return header, content


def _read_on(file: BinaryIO | gzip.GzipFile, head: bytes, end: int) -> tuple[bytes, int]:
    """Read to the end of a file; return its bytes up to `end`, and how many it has in all."""
    parts, found = [head], len(head)
    while chunk := file.read(_CHUNK):
        if found < end:
            parts.append(chunk[: end - found])
        found += len(chunk)
    return b"".join(parts), found


def _grid(header: nib.Nifti1Header, path: Path) -> Grid:
    shape = header_shape(header)
    affine = checked_affine(header, path)
    axis = guess_plane_axis((*shape, 1, 1)[:3], affine, header.get_dim_info()[2])
    return Grid(shape, affine, path, header.binaryblock, axis)


def _voxels(header: nib.Nifti1Header, content: bytes, path: Path) -> Array:
    """Return the voxels in their own dtype, or scaled to float32 if the header scales them."""
    try:
        stored: Any = ArrayProxy(io.BytesIO(content), header, mmap=False)
        slope, inter = header.get_slope_inter()
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

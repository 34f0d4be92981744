"""What a NIfTI header claims, checked before it is used.

References
----------
https://nifti.nimh.nih.gov/nifti-1 and https://nifti.nimh.nih.gov/nifti-2
"""

from __future__ import annotations

import logging
import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from napari_samri.errors import GeometryError, InputError, InputWarning, TooLargeError
from napari_samri.geometry import check_affine

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.geometry import Grid

    FloatArray = NDArray[np.float64]

HEAD_BYTES = 1024
MAX_BYTES = 2 << 30
_KINDS: dict[int, type[nib.Nifti1Header]] = {
    348: nib.Nifti1Image.header_class,
    540: nib.Nifti2Image.header_class,
}
_NIFTI2_BYTES = 540
# NIfTI's units of length by code: unknown, metre, millimetre, micron.
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_SPATIAL_BITS = 7
_FATAL = 40  # nibabel's level of the flaws that it does not repair
# Unattached, so that it stays silent: messages about nibabel's repairs are our own.
_silent = logging.Logger("silent", level=logging.CRITICAL)  # noqa: LOG001


def header_class(head: bytes) -> type[nib.Nifti1Header] | None:
    """Return the class that reads a header, by its size field and magic; None for others."""
    if len(head) < min(_KINDS) + 4:
        return None
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        size = int.from_bytes(head[:4], order)
        if size in _KINDS and len(head) >= size:
            magic = head[344:347] if size == 348 else head[4:7]
            return _KINDS[size] if magic in {b"n+1", b"n+2"} else None
    return None


def checked_header(head: bytes, path: Path) -> nib.Nifti1Header:
    """Return the header, unrepaired, of an image of grey values in two to four dimensions.

    Raises
    ------
    InputError
        If the bytes are no such header.
    """
    kind = header_class(head)
    if kind is None:
        message = f"{path}: not a NIfTI file ({looks_like(head)}); expected a NIfTI header."
        raise InputError(message)
    header = kind(head[: kind.sizeof_hdr], check=False)
    _check_dtype(header, path)
    _check_shape(header_shape(header), path)
    return header


def header_shape(header: nib.Nifti1Header) -> tuple[int, ...]:
    """Return the shape that a header claims."""
    return tuple(int(size) for size in header.get_data_shape())


def checked_extent(header: nib.Nifti1Header, path: Path, max_voxels: int | None) -> tuple[int, int]:
    """Return the byte at which the voxels begin, and how many bytes they take.

    Raises
    ------
    InputError
        If the header claims more voxels than `max_voxels` (by default: than 2 GiB hold), or
        that they begin inside the header.
    """
    voxels = math.prod(header_shape(header))
    size = voxels * int(header.get_data_dtype().itemsize)
    if max_voxels is None and size > MAX_BYTES:
        message = (
            f"{path}: the header claims {voxels:,} voxels ({size / 2**30:.1f} GiB), "
            "more than the 2 GiB that are read by default. If that is right, allow them "
            f"(max_voxels={voxels})."
        )
        raise TooLargeError(message, voxels)
    if max_voxels is not None and voxels > max_voxels:
        message = f"{path}: the header claims {voxels:,} voxels; the limit given is {max_voxels:,}."
        raise TooLargeError(message, voxels)
    begin, least = float(header["vox_offset"]), header.single_vox_offset
    if not least <= begin < math.inf:
        message = (
            f"{path}: the header says that the voxels begin at byte {begin:g}; expected {least} "
            "or more. The header is damaged; get a fresh copy."
        )
        raise InputError(message)
    return int(begin), size


def checked_affine(header: nib.Nifti1Header, path: Path) -> FloatArray:
    """Return the affine as nibabel reads it, in mm: by sform, else by qform, else by pixdim.

    Lengths in metres or microns are converted. Zero spacings, which nibabel takes for 1 mm, are
    refused instead.

    Raises
    ------
    GeometryError
        If the spacing or the affine makes no sense.
    """
    shape = (*header_shape(header), 1, 1)[:3]
    try:
        repaired = _repaired(header, shape)
        has_sform, has_qform = (int(repaired[f"{name}form_code"]) > 0 for name in "sq")
        if not has_sform:
            _check_spacing(header, shape, path)
        with np.errstate(all="ignore"):
            affine = np.array(repaired.get_best_affine(), float)
    except HeaderDataError as error:
        raise GeometryError(_bad_geometry(path, error)) from error
    except ValueError as error:
        if isinstance(error, GeometryError):
            raise
        raise GeometryError(_bad_geometry(path, error)) from error
    affine[:3] *= _millimetres(header, path)
    check_affine(affine, str(path))
    if not (has_sform or has_qform):
        message = (
            f"{path.name}: the header has neither sform nor qform; orientation and origin "
            "are assumed (nibabel's default), the spacing is the header's."
        )
        warnings.warn(message, InputWarning, stacklevel=5)
    return affine


def image_class(grid: Grid) -> type[nib.Nifti1Image]:
    """Return the NIfTI class of a grid's own header."""
    return nib.Nifti2Image if len(grid.header) == _NIFTI2_BYTES else nib.Nifti1Image


def source_header(grid: Grid) -> nib.Nifti1Header:
    """Return the header that a grid was read from."""
    return image_class(grid).header_class(grid.header, check=False)


def _millimetres(header: nib.Nifti1Header, path: Path) -> float:
    """Return how many mm the header's unit of length is; no unit is mm."""
    code = int(header["xyzt_units"]) & _SPATIAL_BITS
    if code not in _MILLIMETRES:
        message = (
            f"{path.name}: the header's unit of length has the code {code}, which NIfTI does not "
            "have; millimetres are assumed."
        )
        warnings.warn(message, InputWarning, stacklevel=6)
    return _MILLIMETRES.get(code, 1.0)


def looks_like(head: bytes) -> str:
    """Say what a file's first bytes are, if they are no image's."""
    if not head:
        return "the file is empty"
    if head.lstrip()[:1] == b"<":
        return "it is a web page or XML, probably a failed download"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the real file with 'git lfs pull'"
    if head[344:347] == b"ni1":
        return "it is the header of a .hdr/.img pair; convert it to one .nii file"
    return "its first bytes are those of something else"


def _check_dtype(header: nib.Nifti1Header, path: Path) -> None:
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        message = (
            f"{path}: the header's data type code is {int(header['datatype'])}, which NIfTI does "
            "not have. The header is damaged; get a fresh copy."
        )
        raise InputError(message) from error
    if dtype.kind not in "buif":
        found = "colours (RGB)" if dtype.fields is not None else f"{dtype} values"
        message = f"{path}: the voxels are {found}; expected grey values, one real number each."
        raise InputError(message)


def _check_shape(shape: tuple[int, ...], path: Path) -> None:
    """Refuse all but (X, Y), (X, Y, Z), (X, Y, Z, T), and these with more axes of size one."""
    count = len(shape)
    while count > 4 and shape[count - 1] == 1:
        count -= 1
    if not 2 <= count <= 4 or min(shape) < 1 or sum(size > 1 for size in shape[:3]) < 2:
        message = (
            f"{path}: the shape is {shape}; expected an image of two or three dimensions, or "
            "three and time."
        )
        raise InputError(message)


def _repaired(header: nib.Nifti1Header, shape: tuple[int, ...]) -> nib.Nifti1Header:
    """Return a copy with nibabel's repairs of what is unset or unknown, such as qfac."""
    copy = header.copy()
    copy.check_fix(logger=_silent, error_level=_FATAL)
    for axis, size in enumerate(shape, start=1):
        if size == 1 and not float(copy["pixdim"][axis]) > 0:
            copy["pixdim"][axis] = 1
    return copy


def _check_spacing(header: nib.Nifti1Header, shape: tuple[int, ...], path: Path) -> None:
    """Refuse spacings that are not positive; a single slice may well have no thickness."""
    spacing = [float(value) for value in header["pixdim"][1:4]]
    wanted = [value for value, size in zip(spacing, shape, strict=True) if size > 1]
    if not all(0 < value < math.inf for value in wanted):
        message = (
            f"{path}: the header has no sform, and the voxel spacing is "
            f"{', '.join(f'{value:g}' for value in spacing)} mm; expected positive numbers. "
            "Set the header's pixdim."
        )
        raise GeometryError(message)


def _bad_geometry(path: Path, error: Exception) -> str:
    return f"{path}: the header's geometry is not valid ({error}); repair its sform or qform."

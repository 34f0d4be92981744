"""NIfTI-1 and NIfTI-2 in, checked to the last byte before anything is believed.

References
----------
https://nifti.nimh.nih.gov/nifti-1 and https://nifti.nimh.nih.gov/nifti-2
"""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from napari_samri.errors import GeometryError, InputError, InputWarning
from napari_samri.geometry import Grid, Volume
from napari_samri.geometry.grid import guess_plane_axis

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

MAX_BYTES = 2 << 30
_SIZES = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class NiftiReader:
    """Reads single-file NIfTI-1 and -2, plain or gzipped whatever the suffix says."""

    format_name: str = "NIfTI (.nii, .nii.gz)"

    def accepts(self, path: Path, head: bytes) -> bool:
        """Tell by the magic bytes; a file that is only named like NIfTI is also taken here."""
        return _image_class(head) is not None or _is_named_nifti(path)

    def read(self, path: Path, max_voxels: int | None = None) -> Volume:
        """Read a file in full and return it in display order.

        Raises
        ------
        InputError, GeometryError
        """
        content = _read_all(path, max_voxels)
        image = _parse(content, path)
        shape = _checked_shape(image, path)
        _check_size(image.header, len(content), path)
        grid = _grid(image, shape, path)
        array = _voxels(image, path).reshape(shape)
        return Volume.from_stored(_without_nonfinite(array, path), grid)


def _is_named_nifti(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith((".nii", ".nii.gz"))


def _image_class(head: bytes) -> type[nib.Nifti1Image] | None:
    """Return the class that reads a header, by its size field and magic; None for others."""
    if len(head) < 352:
        return None
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        size = int.from_bytes(head[:4], order)
        if size in _SIZES:
            magic = head[344:348] if size == 348 else head[4:8]
            return _SIZES[size] if magic[:3] in {b"n+1", b"n+2"} else None
    return None


def _read_all(path: Path, max_voxels: int | None) -> bytes:
    """Return the unpacked bytes of a file, after its header has shown that they may be read.

    A gzip file is read to its end, where its checksum is.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        opener = gzip.open if packed else open
        with opener(path, "rb") as file:
            head = file.read(1024)
            _check_header(head, path, max_voxels)
            parts = [head]
            while chunk := file.read(_CHUNK):
                parts.append(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = (
            f"{path}: the gzip data are damaged ({error}); expected an intact file. "
            "Get a fresh copy."
        )
        raise InputError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise InputError(message) from error
    return b"".join(parts)


def _check_header(head: bytes, path: Path, max_voxels: int | None) -> None:
    """Refuse what is no NIfTI, and what claims more voxels than is sane, before reading on."""
    kind = _image_class(head)
    if kind is None:
        message = f"{path}: not a NIfTI file ({_looks_like(head)}); expected a NIfTI header."
        raise InputError(message)
    try:
        header = kind.header_class(head[: kind.header_class.sizeof_hdr], check=False)
        itemsize = int(header.get_data_dtype().itemsize)
    except (HeaderDataError, ValueError, KeyError) as error:
        message = f"{path}: the NIfTI header is not valid ({error})."
        raise InputError(message) from error
    voxels = int(np.prod([int(n) for n in header.get_data_shape()], dtype=object))
    if max_voxels is None and voxels * itemsize > MAX_BYTES:
        message = (
            f"{path}: the header claims {voxels:,} voxels ({voxels * itemsize / 2**30:.1f} GiB), "
            "more than the 2 GiB that are read by default. If that is right, raise the limit "
            f"with --max-voxels {voxels} (load_volume(..., max_voxels={voxels}))."
        )
        raise InputError(message)
    if max_voxels is not None and voxels > max_voxels:
        message = f"{path}: the header claims {voxels:,} voxels; the limit given is {max_voxels:,}."
        raise InputError(message)


def _check_size(header: nib.Nifti1Header, found: int, path: Path) -> None:
    itemsize = header.get_data_dtype().itemsize
    voxels = int(np.prod(header.get_data_shape(), dtype=np.int64))
    expected = int(header.get_data_offset()) + voxels * itemsize
    if found < expected:
        message = (
            f"{path}: the header claims {voxels:,} voxels ({expected:,} bytes), but the file "
            f"holds {found:,} bytes. It is cut off or its header is wrong; get a fresh copy."
        )
        raise InputError(message)


def _parse(content: bytes, path: Path) -> nib.Nifti1Image:
    kind = _image_class(content[:1024])
    if kind is None:  # pragma: no cover - _check_header has refused it
        message = f"{path}: not a NIfTI file."
        raise InputError(message)
    try:
        return kind.from_stream(io.BytesIO(content))
    except (HeaderDataError, nib.filebasedimages.ImageFileError, ValueError) as error:
        message = f"{path}: the NIfTI header is not valid ({error})."
        raise InputError(message) from error


def _checked_shape(image: nib.Nifti1Image, path: Path) -> tuple[int, ...]:
    """Return the file's shape if it is an image of grey values in two to four dimensions."""
    dtype = image.get_data_dtype()
    if dtype.fields is not None or dtype.kind == "c" or dtype.kind not in "buif":
        kind = "colours (RGB)" if dtype.fields is not None else f"{dtype} values"
        message = f"{path}: the voxels are {kind}; expected grey values, one real number each."
        raise InputError(message)
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if not 2 <= len(shape) <= 4 or 0 in shape or sum(n > 1 for n in shape[:3]) < 2:
        message = (
            f"{path}: the shape is {tuple(image.shape)}; expected an image of two or three "
            "dimensions, or three and time."
        )
        raise InputError(message)
    if tuple(image.shape) != shape:
        return tuple(int(n) for n in image.shape)
    return shape


def _grid(image: nib.Nifti1Image, shape: tuple[int, ...], path: Path) -> Grid:
    header = image.header
    affine = np.asarray(header.get_best_affine(), float)
    codes = int(header["sform_code"]), int(header["qform_code"])
    pixdim = np.asarray(header["pixdim"][1:4], float)
    if codes == (0, 0) and not (np.isfinite(pixdim).all() and (pixdim[: len(shape)] > 0).all()):
        message = (
            f"{path}: the header has neither sform nor qform, and the voxel spacing is "
            f"{', '.join(f'{v:g}' for v in pixdim)} mm; expected positive numbers. Set pixdim."
        )
        raise GeometryError(message)
    slice_hint = header.get_dim_info()[2]
    spatial = (*shape, 1, 1)[:3]
    grid = Grid(shape, affine, path, header.binaryblock)
    if codes == (0, 0):
        message = (
            f"{path.name}: the header has neither sform nor qform; orientation and origin "
            "are assumed (nibabel's default), the spacing is the header's."
        )
        warnings.warn(message, InputWarning, stacklevel=4)
    axis = guess_plane_axis(spatial, affine, slice_hint)
    return Grid(shape, affine, path, grid.header, axis)


def _voxels(image: nib.Nifti1Image, path: Path) -> Array:
    """Return the voxels in their own dtype, or scaled to float32 if the header scales them."""
    try:
        slope, inter = image.header.get_slope_inter()
        stored: Any = image.dataobj
        if slope in {None, 1} and not inter:
            return np.asarray(stored.get_unscaled())
        return np.asarray(stored.get_scaled(dtype=np.float32))
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


def _looks_like(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head.lstrip()[:1] == b"<":
        return "it is a web page or XML, probably a failed download"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the real file with 'git lfs pull'"
    if head[344:347] == b"ni1":
        return "it is the header of a .hdr/.img pair; convert it to one .nii file"
    return "its first bytes are those of something else"

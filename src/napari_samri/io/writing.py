"""Images and labels out: NIfTI that reads back as the same volume, written whole or not at all.

Labels lie on exactly the grid of their source.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from napari_samri.atomic import replacing
from napari_samri.errors import GeometryError, InputError, StoreError
from napari_samri.filenames import NIFTI_SUFFIXES, check_name, expand_user, has_suffix
from napari_samri.geometry import Grid, Orientation, Volume
from napari_samri.io.label_rule import as_labels
from napari_samri.io.nifti_header import image_class, source_header

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[Any]

# What NIfTI-1 and -2 headers say about where voxels lie, and in which order they were scanned.
GEOMETRY = (
    "dim_info",
    "pixdim",
    "xyzt_units",
    "qform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "sform_code",
    "srow_x",
    "srow_y",
    "srow_z",
    "slice_code",
    "slice_start",
    "slice_end",
    "slice_duration",
    "toffset",
)


def _nifti_path(path: Path | str, what: str) -> Path:
    """Return a path that NIfTI can be written to."""
    path = expand_user(path)
    check_name(path)
    if not has_suffix(path, NIFTI_SUFFIXES):
        message = f"{path}: {what} are saved as NIfTI; expected a name ending in .nii or .nii.gz."
        raise InputError(message)
    return path


def save_labels(path: Path | str, labels: ArrayLike, volume: Volume) -> None:
    """Write labels as NIfTI with the geometry of the volume that they were drawn on.

    Affine, codes, zooms and shape are the source's, bit for bit. The dtype is uint8, or
    uint16 if labels exceed 255. An existing file is replaced only by a complete new one.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz``.
    labels : array
        Whole numbers of any dtype, of the shape of `volume.array`, in display order; 0 is
        background.
    volume : Volume

    Raises
    ------
    InputError
        If the suffix is another one, or the labels are no whole numbers from 0 to 65535.
    GeometryError
        If the labels' shape is not the volume's.
    StoreError
        If the file cannot be written; what was there before is still there.
    """
    path = _nifti_path(path, "labels")
    stored = volume.to_stored(_as_unsigned(np.asarray(labels)))
    if stored.shape != volume.grid.shape:
        message = (
            f"labels of one time point, {stored.shape}, do not fill the grid "
            f"{volume.grid.shape}; give labels for all time points."
        )
        raise GeometryError(message)
    image = label_image(stored, volume.grid)
    with replacing(path, durable=True) as temporary:
        image.to_filename(temporary)
        _verify(temporary, stored, path)


def label_image(stored: NDArray[np.unsignedinteger[Any]], grid: Grid) -> nib.Nifti1Image:
    """Return labels in stored order as an image with the geometry of a grid's own header.

    Of the source's header, the fields of `GEOMETRY` are taken, bit for bit, and nothing else:
    descriptions, extensions and what other programs left there are dropped.
    """
    if not grid.header:
        return _image_by_affine(stored, grid)
    kind = image_class(grid)
    header = kind.header_class(endianness=source_header(grid).endianness)
    return _on_grid(kind(stored, None, _as_labels(header, stored)), grid)


def _image_by_affine(stored: NDArray[np.unsignedinteger[Any]], grid: Grid) -> nib.Nifti1Image:
    """Return labels on a grid whose source was no NIfTI."""
    header = nib.Nifti1Header()
    header.set_data_shape(grid.shape)
    header.set_sform(grid.affine, "scanner")
    header.set_qform(grid.affine, "scanner", strip_shears=True)
    header.set_xyzt_units("mm")
    return nib.Nifti1Image(stored, None, _as_labels(header, stored))


def _as_labels(
    header: nib.Nifti1Header, stored: NDArray[np.unsignedinteger[Any]]
) -> nib.Nifti1Header:
    header.set_data_shape(stored.shape)
    header.set_data_dtype(stored.dtype)
    header.set_slope_inter(1, 0)
    header.set_intent("label", (), "")
    return header


def _as_unsigned(labels: NDArray[Any]) -> NDArray[np.unsignedinteger[Any]]:
    """Return labels as uint8 if they fit, else as uint16."""
    whole = as_labels(labels)
    high = int(whole.max()) if whole.size else 0
    return whole.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)


def _verify(written: Path, expected: NDArray[np.unsignedinteger[Any]], path: Path) -> None:
    """Read a written file back: a failing disk is found before the old file is replaced."""
    try:
        image: Any = nib.load(written, mmap=False)
        same = np.array_equal(np.asarray(image.dataobj), expected)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError):
        same = False
    if not same:
        message = (
            f"{path}: the new file does not read back as it was written, so the disk may be "
            "failing. Nothing was changed."
        )
        raise StoreError(message)


_KINDS = "biuf"
_WIDER = {"bool": np.uint8, "float16": np.float32, "float128": np.float64}


def save_image(path: Path | str, volume: Volume) -> None:
    """Write a volume so that `load_volume` gives the same voxels and geometry again.

    A volume without a file of its own, such as a plain array in the viewer, is taken to lie in
    radiological order with its own spacing.

    Raises
    ------
    InputError
        If the suffix is another than ``.nii`` or ``.nii.gz``, or the voxels are no real numbers.
    StoreError
        If the file cannot be written; what was there before is still there.
    """
    path = _nifti_path(path, "images")
    grid = volume.grid
    if grid.path is None and not grid.header:
        volume = in_radiological_order(volume)
    image = _image(volume)
    with replacing(path, durable=True) as temporary:
        image.to_filename(temporary)


def in_radiological_order(volume: Volume) -> Volume:
    """Return the same array on a grid whose display order is the array's own."""
    slices, rows, columns = volume.spacing_mm
    # Display order runs to I, P and L, which are -z, -y and -x of the affine's RAS+.
    inferior, posterior, left = (0, 0, -slices, 0), (0, -rows, 0, 0), (-columns, 0, 0, 0)
    if volume.array.ndim == 2:
        affine = np.array([posterior, left, inferior, (0, 0, 0, 1)], float).T
        return Volume(volume.array, Grid(volume.array.shape, affine), Orientation((2, 0, 1)))
    affine = np.array([inferior, posterior, left, (0, 0, 0, 1)], float).T
    shape = (*volume.array.shape[-3:], *volume.array.shape[:-3])
    return Volume(volume.array, Grid(shape, affine, plane_axis=0), Orientation())


def _image(volume: Volume) -> nib.Nifti1Image:
    stored = _writable(volume.to_stored(volume.array))
    grid = volume.grid
    kind = image_class(grid) if grid.header else nib.Nifti1Image
    header = kind.header_class()
    header.set_data_dtype(stored.dtype)
    if not grid.header:
        header.set_dim_info(slice=grid.plane_axis)
        header.set_xyzt_units("mm")
        return kind(stored, grid.affine, header)
    return _on_grid(kind(stored, None, header), grid)


def _on_grid(image: nib.Nifti1Image, grid: Grid) -> nib.Nifti1Image:
    """Give an image the geometry of a grid's own header."""
    source = source_header(grid)
    for name in GEOMETRY:
        image.header[name] = source[name]
    return image


def _writable(stored: Array) -> Array:
    """Return voxels of a dtype that NIfTI has, in the machine's own byte order."""
    if stored.dtype.kind not in _KINDS:
        message = f"the voxels are {stored.dtype}; expected real numbers."
        raise InputError(message)
    dtype = _WIDER.get(stored.dtype.name, stored.dtype.newbyteorder("="))
    return np.asarray(stored, dtype)

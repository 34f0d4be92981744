"""Labels out: NIfTI on exactly the source's grid, written whole or not at all."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from napari_samri.errors import GeometryError, InputError, StoreError
from napari_samri.filenames import NIFTI_SUFFIXES, has_suffix
from napari_samri.io.atomic import replacing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_samri.geometry import Grid, Volume

MAX_LABEL = np.iinfo(np.uint16).max
_NIFTI2_BYTES = 540
_LABEL_INTENT = 1002
_LABEL_NAME = re.compile(r"(^|[_-])(dseg|mask|seg|labels?)\.nii(\.gz)?$", re.IGNORECASE)
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


def save_labels(path: Path | str, labels: ArrayLike, volume: Volume) -> None:
    """Write labels as NIfTI with the geometry of the volume that they were drawn on.

    Affine, codes, zooms and shape are the source's, bit for bit. The dtype is uint8, or
    uint16 if labels exceed 255. An existing file is replaced only by a complete new one.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz``.
    labels : integer or bool array
        Of the shape of `volume.array`, in display order; 0 is background.
    volume : Volume

    Raises
    ------
    InputError
        If the suffix is another one, or the labels are no integers from 0 to 65535.
    GeometryError
        If the labels' shape is not the volume's.
    StoreError
        If the file cannot be written; what was there before is still there.
    """
    path = Path(path).expanduser()
    if not has_suffix(path, NIFTI_SUFFIXES):
        message = f"{path}: labels are saved as NIfTI; expected a name ending in .nii or .nii.gz."
        raise InputError(message)
    stored = volume.to_stored(_as_unsigned(np.asarray(labels)))
    if stored.shape != volume.grid.shape:
        message = (
            f"labels of one time point, {stored.shape}, do not fill the grid "
            f"{volume.grid.shape}; give labels for all time points."
        )
        raise GeometryError(message)
    image = label_image(stored, volume.grid)
    with replacing(path) as temporary:
        image.to_filename(temporary)
        _verify(temporary, stored, path)


def holds_labels(volume: Volume) -> bool:
    """Tell whether a volume that was read is one of labels, not of grey values.

    It is if its voxels are integers and its header says so (NIfTI's intent "label"), or its
    file's name, by ending in ``_dseg``, ``_mask``, ``_seg``, ``_label`` or ``_labels``.
    """
    grid = volume.grid
    if volume.array.dtype.kind not in "iu":
        return False
    if grid.header and int(source_header(grid)["intent_code"]) == _LABEL_INTENT:
        return True
    return grid.path is not None and _LABEL_NAME.search(grid.path.name) is not None


def label_image(stored: NDArray[np.unsignedinteger[Any]], grid: Grid) -> nib.Nifti1Image:
    """Return labels in stored order as an image with the geometry of a grid's own header.

    Of the source's header, the fields of `GEOMETRY` are taken, bit for bit, and nothing else:
    descriptions, extensions and whatever other programs left there stay behind.
    """
    if not grid.header:
        return _image_by_affine(stored, grid)
    kind = image_class(grid)
    source = source_header(grid)
    header = kind.header_class(endianness=source.endianness)
    image = kind(stored, None, _as_labels(header, stored))
    for name in GEOMETRY:
        image.header[name] = source[name]
    return image


def image_class(grid: Grid) -> type[nib.Nifti1Image]:
    """Return the NIfTI class of a grid's own header."""
    return nib.Nifti2Image if len(grid.header) == _NIFTI2_BYTES else nib.Nifti1Image


def source_header(grid: Grid) -> nib.Nifti1Header:
    """Return the header that a grid was read from."""
    return image_class(grid).header_class(grid.header, check=False)


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
    if labels.dtype.kind not in "bui":
        message = f"labels have the dtype {labels.dtype}; expected integers."
        raise InputError(message)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > MAX_LABEL:
        message = f"labels range from {low} to {high}; expected 0 to {MAX_LABEL}."
        raise InputError(message)
    return labels.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)


def _verify(written: Path, expected: NDArray[np.unsignedinteger[Any]], path: Path) -> None:
    """Read a written file back: a disk that lies is found before the old file goes."""
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

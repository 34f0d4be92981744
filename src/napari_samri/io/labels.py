"""Labels out: NIfTI on exactly the source's grid, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from napari_samri.errors import GeometryError, InputError, StoreError
from napari_samri.io.atomic import replacing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_samri.geometry import Grid, Volume

SUFFIXES = (".nii", ".nii.gz")
MAX_LABEL = np.iinfo(np.uint16).max
_INTENT_LABEL = "label"
_UNITS_MM = "mm"


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
    if not path.name.lower().endswith(SUFFIXES):
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
        nib.save(image, temporary)
        _verify(temporary, stored)


def label_image(stored: NDArray[np.unsignedinteger[Any]], grid: Grid) -> nib.Nifti1Image:
    """Return labels in stored order as an image with a grid's own header.

    Fields that describe the source's voxels or its patient are cleared.
    """
    if grid.header:
        kind = nib.Nifti2Image if len(grid.header) == 540 else nib.Nifti1Image
        header = kind.header_class(grid.header, endianness=None, check=False)
    else:
        kind, header = nib.Nifti1Image, nib.Nifti1Header()
        header.set_data_shape(grid.shape)
        header.set_sform(grid.affine, "scanner")
        header.set_qform(grid.affine, "scanner", strip_shears=True)
        header.set_xyzt_units(_UNITS_MM)
    header.set_data_dtype(stored.dtype)
    header["scl_slope"], header["scl_inter"] = np.nan, np.nan
    header["cal_max"], header["cal_min"] = 0, 0
    header.set_intent(_INTENT_LABEL, (), "")
    for field in ("descrip", "aux_file", "db_name"):
        if field in header:
            header[field] = b""
    return kind(stored, None, header)


def _as_unsigned(labels: NDArray[Any]) -> NDArray[np.unsignedinteger[Any]]:
    if labels.dtype.kind not in "bui":
        message = f"labels have the dtype {labels.dtype}; expected integers."
        raise InputError(message)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > MAX_LABEL:
        message = f"labels range from {low} to {high}; expected 0 to {MAX_LABEL}."
        raise InputError(message)
    return labels.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)


def _verify(path: Path, expected: NDArray[np.unsignedinteger[Any]]) -> None:
    """Read a written file back: a disk that lies is found before the old file goes."""
    image: Any = nib.load(path)
    found = np.asarray(image.dataobj)
    if not np.array_equal(found, expected):
        message = f"{path}: the file does not read back as it was written; nothing was changed."
        raise StoreError(message)

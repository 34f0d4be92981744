"""Images out: NIfTI that reads back as the same volume, in the same display order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from napari_samri.atomic import replacing
from napari_samri.errors import InputError
from napari_samri.filenames import NIFTI_SUFFIXES, check_name, expand_user, has_suffix
from napari_samri.geometry import Grid, Orientation, Volume
from napari_samri.io.labels import GEOMETRY
from napari_samri.io.nifti_header import image_class, source_header

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

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
    path = expand_user(path)
    check_name(path)
    if not has_suffix(path, NIFTI_SUFFIXES):
        message = f"{path}: images are saved as NIfTI; expected a name ending in .nii or .nii.gz."
        raise InputError(message)
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
    source = source_header(grid)
    image = kind(stored, None, header)
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

"""What counts as labels: whole numbers from 0 to 65535, however a file stores them.

Many tools write segmentations as floating-point numbers, or with a scaling that is almost 1, so
neither the data type nor the scaling tells labels from grey values: the values do. Whether a
file is *meant* as labels is said by its header, its name, or the user who chose it.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError, InputWarning
from napari_samri.geometry import MAX_LABEL
from napari_samri.io.nifti_header import source_header
from napari_samri.io.registry import load_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.geometry import Grid, Volume

    Array = NDArray[Any]

# How far a value may lie from a whole number: scaled integers come back as float32.
WHOLE_TOLERANCE = 1e-3
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
# A slope that was meant as 1: some writers make it by division.
_SLOPE_TOLERANCE = 1e-4
_LABEL_INTENT = 1002
_LABEL_NAME = re.compile(r"(^|[._ -])(dseg|mask|seg|labels?)\.nii(\.gz)?$", re.IGNORECASE)
_FEW = 64
_SAMPLED = 100_000
_SHOWN_WHOLE = 1e15


def as_labels(array: Array) -> NDArray[np.integer[Any] | np.bool_]:
    """Return an array of labels as integers.

    Parameters
    ----------
    array : array
        Of any shape. Floating-point values within 0.001 of a whole number count as that.

    Returns
    -------
    integer or bool array
        Of whole numbers from 0 to 65535: the array itself if it holds integers, else a new one
        of uint16.

    Raises
    ------
    InputError
        If a value is another number; the message says which one, and where.
    """
    if array.dtype.kind in "bui":
        _check_range(array)
        return array
    if array.dtype.kind != "f":
        message = f"labels have the dtype {array.dtype}; expected whole numbers."
        raise InputError(message)
    labels = np.empty(array.shape, np.uint16)
    for place in range(len(array)) if array.ndim > 1 else [...]:  # by parts, to spare memory
        labels[place] = _rounded(array, place)
    return labels


def label_volume(volume: Volume) -> Volume:
    """Return a volume that is meant as labels with integers for voxels.

    A header's scaling that is almost 1 (within 0.0001) is taken for 1, so that large labels
    stay what they were.

    Raises
    ------
    InputError
        If a voxel is no whole number from 0 to 65535, with its (slice, row, column).
    """
    labels = np.asarray(as_labels(_unscaled(volume))).view()  # lazy ones are read now
    labels.flags.writeable = False
    return replace(volume, array=labels)


def load_labels(path: Path | str, *, max_voxels: int | None = None) -> Volume:
    """Read a volume that is meant as labels, whatever its header and name say.

    Parameters
    ----------
    path : path
    max_voxels : int, optional
        As of `load_volume`.

    Raises
    ------
    InputError, GeometryError
        As of `load_volume`, or because a voxel is no whole number from 0 to 65535.
    """
    volume = load_volume(path, max_voxels=max_voxels)
    try:
        return label_volume(volume)
    except InputError as error:
        message = f"{path}: {error}"
        raise InputError(message) from error


def is_marked_as_labels(grid: Grid) -> bool:
    """Tell whether a file says that it holds labels: by its header or its name.

    That is NIfTI's intent "label", or a name that ends in ``_dseg``, ``_mask``, ``_seg``,
    ``_label`` or ``_labels`` in any case.
    """
    if grid.header and int(source_header(grid)["intent_code"]) == _LABEL_INTENT:
        return True
    return grid.path is not None and _LABEL_NAME.search(grid.path.name) is not None


def marked_labels(volume: Volume) -> Volume | None:
    """Return a volume that is marked as labels as such; None, for an image, if it is not.

    Where only the values speak against it, an `InputWarning` says which.
    """
    if not is_marked_as_labels(volume.grid):
        return None
    try:
        return label_volume(volume)
    except InputError as error:
        name = volume.grid.path.name if volume.grid.path else "the volume"
        message = f"{name}: called labels, but taken for an image, because {error}"
        warnings.warn(message, InputWarning, stacklevel=3)
        return None


def could_be_labels(array: Array, most: int = _FEW) -> bool:
    """Tell whether an array may well be labels: whole numbers 0 to 65535, and few of them.

    Quick on images: a sample decides about most of them.

    Parameters
    ----------
    array : array
        Real numbers, of any shape.
    most : int
        So many different values, background included, are few.
    """
    if array.dtype.kind == "b":
        return True
    if not array.size or not array.ndim or array.dtype.kind not in "uif":
        return False
    step = max(1, int((array.size / _SAMPLED) ** (1 / array.ndim)))
    sample = array[(slice(None, None, step),) * array.ndim]
    return _has_few(sample, most) and _has_few(array, most)


def _has_few(array: Array, most: int) -> bool:
    try:
        labels = as_labels(array)
    except InputError:
        return False
    counts = np.bincount(labels.ravel().astype(np.uint16, copy=False))
    return int(np.count_nonzero(counts)) <= most


def _unscaled(volume: Volume) -> Array:
    """Undo a scaling of almost 1."""
    array = volume.array
    if array.dtype.kind != "f" or not volume.grid.header:
        return array
    slope, inter = source_header(volume.grid).get_slope_inter()
    if slope in {None, 1.0} or abs(slope - 1) > _SLOPE_TOLERANCE or abs(inter) > WHOLE_TOLERANCE:
        return array
    unscaled: Array = (array.astype(np.float64) - inter) / slope
    return unscaled


def _rounded(array: Array, place: Any) -> Array:
    """Return one part of an array of floats, along its first axis, as whole numbers."""
    values = np.asarray(array[place], np.promote_types(array.dtype, np.float32))
    with np.errstate(invalid="ignore"):
        whole = np.rint(values)
        off = ~(np.abs(values - whole) <= WHOLE_TOLERANCE + _ROUNDING * np.abs(values))
        bad = off | (whole < 0) | (whole > MAX_LABEL)
    if bad.any():
        first = np.argwhere(bad)[0]
        index = (*(() if place is ... else (place,)), *first.tolist())
        raise InputError(_no_label(values[tuple(first)], index))
    return whole


def _check_range(array: Array) -> None:
    if not array.size or array.dtype.kind == "b":
        return
    for index in (array.argmin(), array.argmax()):
        place = np.unravel_index(index, array.shape)
        if not 0 <= int(array[place]) <= MAX_LABEL:
            raise InputError(_no_label(array[place], tuple(map(int, place))))


def _no_label(value: Any, place: tuple[int, ...]) -> str:
    names = ("time", "slice", "row", "column")[-len(place) :] if 2 <= len(place) <= 4 else ()
    named = zip(names, place, strict=True) if names else [("index", place)]
    where = ", ".join(f"{name} {index}" for name, index in named)
    whole = float(value).is_integer() and abs(value) < _SHOWN_WHOLE
    shown = str(int(value)) if whole else f"{value:.6g}"
    advice = (
        "Renumber them"
        if whole
        else "Threshold probabilities, or resample labels with nearest neighbours"
    )
    return (
        f"the labels hold {shown} at {where}; expected whole numbers from 0 (background) to "
        f"{MAX_LABEL}. {advice}."
    )

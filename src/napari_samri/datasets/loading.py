"""A study's image and labels as arrays on one grid, of the channel and the files that are meant."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_samri.datasets.spelling import real_path
from napari_samri.errors import GeometryError, InputError, InputWarning
from napari_samri.geometry import MAX_LABEL, Placement, Volume
from napari_samri.io import label_volume, load_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    LabelArray = NDArray[np.uint16]
    Read = Callable[[Path], Volume]
    FloatArray = NDArray[np.float64]


class StudyFiles(Protocol):
    """What a study, or a case that becomes one, says of its files; see `Study`."""

    @property
    def image(self) -> str:
        """Path of the image, relative to the data set's root."""

    @property
    def labels(self) -> str:
        """Path of the labels."""

    @property
    def channel(self) -> int | None:
        """Which volume of a 4D image."""

    @property
    def classes(self) -> tuple[tuple[int, str], ...]:
        """Labels, and the files of one structure each that they stand for."""


def load_study(
    root: Path, files: StudyFiles, read_image: Read = load_volume, read_labels: Read = load_volume
) -> tuple[Volume, LabelArray]:
    """Read a study.

    An image without labels has zeros in their place.

    Files are found under any form of Unicode that their disk has. Of a 4D image, the channel is
    taken; files of one structure each become one label map, in which the smaller structure has
    the voxels that two share: so that nothing inside another is lost.

    Parameters
    ----------
    root : path
        Of the data set.
    files : StudyFiles
    read_image, read_labels : callable, optional
        Path to `Volume`.

    Returns
    -------
    Volume
        Three-dimensional, or a 2D image.
    uint16 array (slices, rows, columns)

    Raises
    ------
    InputError, GeometryError
        If a file cannot be read, or they do not fit together.

    Warns
    -----
    InputWarning
        If structures share voxels.
    """
    image = read_image(real_path(root / files.image, root))
    single = bool(files.labels) and not files.classes
    labels = read_labels(real_path(root / files.labels, root)) if single else None
    try:
        image = of_channel(image, files.channel)
        if labels is None:
            return image, _label_map(image, root, files.classes, read_labels)
        return image, aligned_labels(image, labels)
    except InputError as error:
        message = f"{files.image}, with {files.labels}: {error}"
        raise type(error)(message) from error


def of_channel(image: Volume, channel: int | None) -> Volume:
    """Return one volume of a 4D image; a 3D image as it is.

    Raises
    ------
    InputError
        If a 4D image has no such channel, or none is chosen.
    """
    if image.times is None:
        return image
    if channel is None or not 0 <= channel < image.times:
        what = "none is chosen" if channel is None else f"channel {channel} is chosen"
        message = (
            f"the image is 4D, with {image.times} channels or time points, and {what}; expected "
            f"one of 0 to {image.times - 1}. Choose the channel that the labels belong to."
        )
        raise InputError(message)
    grid = replace(image.grid, shape=image.grid.shape[:3])
    return Volume(image.array[channel], grid, image.orientation)


def _label_map(
    image: Volume, root: Path, classes: tuple[tuple[int, str], ...], read: Read
) -> LabelArray:
    """Paint one structure after the other."""
    result = np.zeros(image.spatial_shape, np.uint16)
    sizes = np.zeros(MAX_LABEL + 1, np.int64)
    shared = 0
    for label, path in classes:
        mask = _structure(image, path, read(real_path(root / path, root)))
        sizes[label] = np.count_nonzero(mask)
        shared += int(np.count_nonzero(mask & (result > 0)))
        result[mask & ((result == 0) | (sizes[result] > sizes[label]))] = label
    if shared:
        message = (
            f"{classes[0][1]} and other files of one structure each share {shared:,} voxels; the "
            "smaller structure has them."
        )
        warnings.warn(message, InputWarning, stacklevel=3)
    return result


def _structure(image: Volume, path: str, labels: Volume) -> NDArray[np.bool_]:
    try:
        array = aligned_labels(image, labels)
    except InputError as error:
        message = f"{path}: {error}"
        raise type(error)(message) from error
    values = np.flatnonzero(np.bincount(array.ravel()))
    found = [int(value) for value in values if value]
    if len(found) > 1:
        listed = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        message = (
            f"{path}: has the values {listed}; expected a single one beside 0, as this image has "
            "several label files, each of which was taken for one structure. If they are several "
            "people's labels, name them in a column rater of a CSV."
        )
        raise InputError(message)
    return array > 0


def aligned_labels(image: Volume, labels: Volume) -> LabelArray:
    """Return labels in the display order of their image.

    The two files may store their axes in another order or direction: only where
    the voxels lie counts.

    Parameters
    ----------
    image, labels : Volume

    Returns
    -------
    uint16 array (slices, rows, columns)

    Raises
    ------
    InputError
        If one of them is 4D, or the labels are no whole numbers from 0 to 65535.
    GeometryError
        If the shapes differ, or a corner of the labels' grid lies farther from the image's than
        0.1 mm or a quarter of the smallest voxel spacing.
    """
    _check_times(image, labels)
    return _on_grid_of(image, label_volume(labels)).astype(np.uint16)


def _check_times(image: Volume, labels: Volume) -> None:
    if image.times is not None:
        message = (
            f"the image is 4D, with {image.times} time points or channels; expected one. Split it "
            "into 3D files that share the labels."
        )
        raise InputError(message)
    if labels.times is not None:
        message = (
            f"the labels are 4D, with {labels.times} channels or time points; expected one 3D "
            "label map. If each channel is an object (one-hot), number them 1, 2, ... in one map."
        )
        raise InputError(message)


def _on_grid_of(image: Volume, labels: Volume) -> NDArray[Any]:
    """Permute and flip labels into the display order of the image."""
    array, affine = labels.spatial(), labels.affine
    # Columns: each axis of the labels in steps of the image's; a permutation if grids agree.
    steps = np.linalg.inv(image.affine[:3, :3]) @ affine[:3, :3]
    axes = np.abs(steps).argmax(axis=1)
    if len(set(axes.tolist())) == 3:
        flips = [bool(steps[row, axis] < 0) for row, axis in enumerate(axes)]
        sizes = array.shape
        array = np.flip(array.transpose(axes), tuple(np.flatnonzero(flips).tolist()))
        affine = affine @ _index_matrix(axes, flips, sizes)
    _check_shape(image, array.shape)
    _check_corners(image, affine)
    return array


def _index_matrix(axes: NDArray[np.intp], flips: list[bool], sizes: tuple[int, ...]) -> FloatArray:
    """Return the 4x4 matrix from indices after permutation and flips to those before."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for after, (before, flip) in enumerate(zip(axes, flips, strict=True)):
        matrix[before, after] = -1 if flip else 1
        matrix[before, 3] = sizes[before] - 1 if flip else 0
    return matrix


def _check_shape(image: Volume, shape: tuple[int, ...]) -> None:
    if image.spatial_shape != shape:
        message = (
            f"the labels' shape {shape} is not the image's {image.spatial_shape} (slices, rows, "
            "columns); expected labels on the image's own grid. Resample them to it."
        )
        raise GeometryError(message)


def _check_corners(image: Volume, affine: FloatArray) -> None:
    place, found = image.placement, Placement(image.spatial_shape, affine)
    if not found.is_on(place):
        message = (
            f"the labels' grid lies up to {place.apart(found):.3g} mm off the image's; expected at "
            f"most {place.tolerance:.3g} mm. Resample the labels to the image, or repair the "
            "header that is wrong."
        )
        raise GeometryError(message)

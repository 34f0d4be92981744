"""Labels on the grid of their image, whatever order of axes both files have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import Placement
from napari_samri.io import label_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry import Volume

    FloatArray = NDArray[np.float64]
    LabelArray = NDArray[np.uint16]


def aligned_labels(image: Volume, labels: Volume) -> LabelArray:
    """Return labels in the display order of their image.

    The two files may store their axes in another order or direction: what counts is where
    the voxels lie.

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
            f"most {place.tolerance:.3g} mm. Resample the labels to the image, or mend the header "
            "that is wrong."
        )
        raise GeometryError(message)

"""The label array of a session: checked, looked at by planes, indexed by their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError, InputError
from napari_samri.session.labels import MAX_LABEL, LabelTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry import Plane, Volume

    Array = NDArray[Any]


def plane_pixels(labels: Array, volume: Volume, plane: Plane) -> Array:
    """Return a plane of the label array (rows, columns), a view."""
    plane.check(volume)
    block = labels if plane.time is None else labels[plane.time]
    block = block.reshape(volume.spatial_shape)
    return np.moveaxis(block, plane.axis, 0)[plane.index]


def plane_voxels(labels: Array, plane: Plane, rows: Array, columns: Array) -> tuple[Array, ...]:
    """Return indices into the label array of pixels of a plane."""
    voxels = plane.pixels_to_voxels(np.stack([rows, columns], axis=1)).astype(np.intp).T
    if labels.ndim == 2:
        return voxels[1], voxels[2]
    if labels.ndim == 4:
        return (np.full(len(rows), plane.time, np.intp), *voxels)
    return tuple(voxels)


def checked_labels(labels: Array | None, volume: Volume) -> Array:
    """Return labels that lie on a volume, new ones if there are none.

    Raises
    ------
    GeometryError, InputError
        If they are of another shape or dtype, or read-only.
    """
    shape = tuple(volume.array.shape)
    if labels is None:
        return np.zeros(shape, np.uint16)
    if tuple(labels.shape) != shape:
        message = (
            f"the labels' shape is {tuple(labels.shape)}, but the image has {shape}; expected "
            "labels on the image's own grid. Choose or make other labels."
        )
        raise GeometryError(message)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        message = f"the labels are {type(labels).__name__} of {labels.dtype}; expected integers."
        raise InputError(message)
    if not labels.flags.writeable:
        message = "the labels are read-only; give a copy of them."
        raise InputError(message)
    return labels


def table_of(labels: Array) -> LabelTable:
    """Return a table with a label for each value of an array."""
    present = present_labels(labels)
    table = LabelTable.of({1, *present})
    return table.activate(present[0]) if present else table


def present_labels(labels: Array) -> list[int]:
    """Return the labels that an array holds, from 1 to 65535, in their order."""
    if labels.dtype.itemsize <= 2 and labels.dtype.kind == "u":
        values = np.flatnonzero(np.bincount(labels.ravel()))
    else:
        values = np.unique(labels)
    return [int(value) for value in values if 0 < value <= MAX_LABEL]

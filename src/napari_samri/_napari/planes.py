"""Which plane of a volume a viewer shows, and points of layers on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.geometry import Plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


def shown_plane(viewer: ViewerModel, layer: Layer) -> Plane | None:
    """Return the plane of a layer (2 to 4 axes, time first) that a viewer shows.

    None in a 3D view, where time is one of the shown axes, and beside the layer's slices.
    """
    dims = viewer.dims
    offset = dims.ndim - layer.ndim
    if dims.ndisplay != 2 or offset < 0:
        return None
    shown = {axis - offset for axis in dims.displayed}
    hidden = [axis for axis in range(layer.ndim) if axis not in shown]
    if len(hidden) != max(layer.ndim - 2, 0) or (layer.ndim == 4 and 0 in shown):
        return None
    here = np.rint(np.asarray(layer.world_to_data(dims.point), float)).astype(int)
    if any(not 0 <= here[axis] < layer.data.shape[axis] for axis in hidden):
        return None
    if layer.ndim == 2:
        return Plane(0, 0)
    axis = hidden[-1]
    time = int(here[0]) if layer.ndim == 4 else None
    return Plane(axis - (layer.ndim - 3), int(here[axis]), time)


def show_plane(viewer: ViewerModel, layer: Layer, plane: Plane) -> None:
    """Bring a plane of a layer into view, turning the axes if need be."""
    viewer.dims.ndisplay = 2
    if layer.ndim == 2:
        return
    spatial = layer.ndim - 3
    offset = viewer.dims.ndim - layer.ndim
    axis = plane.axis + spatial + offset
    wanted = tuple(a + spatial + offset for a in plane.pixel_axes)
    if set(viewer.dims.displayed) != set(wanted):
        rest = (a for a in range(viewer.dims.ndim) if a not in wanted)
        viewer.dims.order = (*rest, *wanted)
    point = np.zeros(layer.ndim)
    point[plane.axis + spatial] = plane.index
    if plane.time is not None:
        point[0] = plane.time
    world = np.asarray(layer.data_to_world(point), float)
    viewer.dims.set_point(axis, world[plane.axis + spatial])
    if plane.time is not None:
        viewer.dims.set_point(offset, world[0])


def to_pixels(coordinates: Any, plane: Plane) -> FloatArray:
    """Turn data coordinates (N, ndim) of a layer into (x, y) pixels (N, 2) of a plane."""
    points = np.asarray(coordinates, float)
    voxels = points[:, -3:] if points.shape[1] > 2 else np.insert(points, 0, 0, axis=1)
    return plane.voxels_to_pixels(voxels)[:, ::-1]


def to_coordinates(pixels_xy: Any, plane: Plane, ndim: int) -> FloatArray:
    """Turn (x, y) pixels (N, 2) of a plane into data coordinates (N, ndim) of a layer."""
    voxels = plane.pixels_to_voxels(np.asarray(pixels_xy, float).reshape(-1, 2)[:, ::-1])
    if ndim == 4:
        voxels = np.insert(voxels, 0, plane.time or 0, axis=1)
    return voxels[:, -ndim:] if ndim < 3 else voxels


def plane_of(coordinates: Any, axis: int) -> Plane:
    """Return the plane along a display axis that data coordinates (N, ndim) lie nearest to."""
    middle = np.asarray(coordinates, float).mean(axis=0)
    if len(middle) == 2:
        return Plane(0, 0)
    time = round(float(middle[0])) if len(middle) == 4 else None
    return Plane(axis, round(float(middle[axis - 3])), time)

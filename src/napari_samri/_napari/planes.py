"""Which plane of a volume a viewer shows, and points of layers on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri._napari.layers import unit_factor
from napari_samri.errors import GeometryError
from napari_samri.geometry import Plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


def shown_plane(viewer: ViewerModel, layer: Layer) -> Plane | None:
    """Return the plane of a layer (2 to 4 axes, time first) that a viewer shows.

    None in a 3D view, where time is one of the shown axes, and outside the layer's slices.
    """
    dims = viewer.dims
    offset = dims.ndim - layer.ndim
    if dims.ndisplay != 2 or offset < 0:
        return None
    shown = {axis - offset for axis in dims.displayed}
    hidden = [axis for axis in range(layer.ndim) if axis not in shown]
    if len(hidden) != max(layer.ndim - 2, 0) or (layer.ndim == 4 and 0 in shown):
        return None
    matrix, origin = _slicing(viewer, layer, hidden)
    point = np.asarray(dims.point, float)[offset:][hidden]
    here = dict(zip(hidden, np.rint(matrix @ point + origin).astype(int).tolist(), strict=True))
    if any(not 0 <= here[axis] < layer.data.shape[axis] for axis in hidden):
        return None
    if layer.ndim == 2:
        return Plane(0, 0)
    axis = hidden[-1]
    time = here[0] if layer.ndim == 4 else None
    return Plane(axis - (layer.ndim - 3), here[axis], time)


def show_plane(viewer: ViewerModel, layer: Layer, plane: Plane) -> None:
    """Bring a plane of a layer into view, turning the axes if need be.

    Where a layer is turned out of its planes, the viewer's sliders may end before its first or
    last ones: `shown_plane` says which one came into view.

    Raises
    ------
    GeometryError
        If the layer is turned so far that no plane along this axis can be shown.
    """
    viewer.dims.ndisplay = 2
    if layer.ndim == 2:
        return
    spatial = layer.ndim - 3
    offset = viewer.dims.ndim - layer.ndim
    wanted = tuple(a + spatial + offset for a in plane.pixel_axes)
    if set(viewer.dims.displayed) != set(wanted):
        rest = (a for a in range(viewer.dims.ndim) if a not in wanted)
        viewer.dims.order = (*rest, *wanted)
    hidden = [plane.axis + spatial] if plane.time is None else [0, plane.axis + spatial]
    indices = np.array([plane.index] if plane.time is None else [plane.time, plane.index], float)
    matrix, origin = _slicing(viewer, layer, hidden)
    if abs(np.linalg.det(matrix)) < 1e-9:
        message = (
            f"the layer '{layer.name}' is turned so far in the viewer that no slice along axis "
            f"{plane.axis} can be shown; reset its transform, or take another axis."
        )
        raise GeometryError(message)
    for hidden_axis, place in zip(hidden, np.linalg.solve(matrix, indices - origin), strict=True):
        viewer.dims.set_point(hidden_axis + offset, place)


def _slicing(viewer: ViewerModel, layer: Layer, hidden: list[int]) -> tuple[FloatArray, FloatArray]:
    """Return the matrix and the offset from world points along hidden axes to a layer's indices.

    As napari slices: of the layer's transform from the world, the rows and columns of these
    axes alone. Where a layer is turned out of the plane, the whole transform says another slice.
    """
    origin = np.asarray(layer.world_to_data(np.zeros(layer.ndim)), float)
    steps = viewer_steps(viewer, layer)
    columns = [
        np.asarray(layer.world_to_data(steps[axis] * np.eye(layer.ndim)[axis]), float) - origin
        for axis in hidden
    ]
    matrix = np.array([column[hidden] for column in columns]).T.reshape(len(hidden), len(hidden))
    return matrix, origin[hidden]


def viewer_steps(viewer: ViewerModel, layer: Layer) -> FloatArray:
    """Return how many of a layer's units one of the viewer's is, for each axis of the layer.

    The viewer takes the finest units of its layers, where it has some.
    """
    units = (getattr(viewer.dims, "units", None) or layer.units)[-layer.ndim :]
    return np.array([unit_factor(*pair) for pair in zip(units, layer.units, strict=True)])


def data_at(viewer: ViewerModel, layer: Layer, position: Any) -> FloatArray:
    """Return the data coordinates (ndim,) of a layer at a place in the viewer's world."""
    own = np.asarray(position, float)[-layer.ndim :] * viewer_steps(viewer, layer)
    return np.asarray(layer.world_to_data(own), float)


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

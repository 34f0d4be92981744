"""Layers as volumes, the plane of one that a viewer shows, and points on it.

What a layer has to carry so that its volume can be restored is kept in its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError, InputError
from napari_samri.filenames import VOLUME_SUFFIXES, stem_of
from napari_samri.geometry import Grid, Orientation, Placement, Plane, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_samri.session import Document

    FloatArray = NDArray[np.float64]

METADATA_KEY = "samri"
SUSPENDED_KEY = "samri suspended"  # in the metadata of labels
AXES = ("slice", "row", "column")


@dataclass(frozen=True, eq=False)
class Reference:
    """The grid that a layer's array lies on; kept in ``layer.metadata["samri"]``.

    It says nothing about the patient. Layers that napari derives from another one do not
    inherit it, so a layer without it is not on any file's grid for certain.
    """

    grid: Grid
    orientation: Orientation
    shape: tuple[int, ...]

    def volume(self, array: Any) -> Volume:
        """Return a volume of an array in display order.

        Raises
        ------
        GeometryError
            If its shape is not that of the volume the reference was made of.
        """
        if tuple(array.shape) != self.shape:
            message = (
                f"the layer's shape is {tuple(array.shape)}, but its image has {self.shape}; "
                "expected the same. Start from a new layer on the image."
            )
            raise GeometryError(message)
        return Volume(array, self.grid, self.orientation)

    @property
    def placement(self) -> Placement:
        """Where the voxels of the file lie in millimetres, with time first if there is any."""
        shape = (1,) * (3 - len(self.shape)) + self.shape
        affine = np.eye(len(shape) + 1)
        affine[-4:, -4:] = self.grid.affine @ self.orientation.matrix(self.grid.spatial_shape)
        return Placement(shape, affine)

    @property
    def placement_as_read(self) -> Placement:
        """Where a layer lies in the world of a viewer before it is moved."""
        return Placement(self.shape, np.diag([*self.scale, 1.0]))

    @property
    def scale(self) -> tuple[float, ...]:
        """The scale of a layer that was not moved: spacing in mm, and 1 for time."""
        return self.placement.spacing[-len(self.shape) :]


def layer_options(volume: Volume, name: str) -> dict[str, Any]:
    """Return the name, scale, units, axis labels and metadata of every layer on a volume."""
    axes: tuple[str, ...] = AXES[-min(volume.array.ndim, 3) :]
    scale: tuple[float, ...] = volume.spacing_mm[-len(axes) :]
    units: tuple[str, ...] = ("mm",) * len(axes)
    if volume.times is not None:
        axes, scale, units = ("time", *axes), (1.0, *scale), ("pixel", *units)
    reference = Reference(volume.grid, volume.orientation, tuple(volume.array.shape))
    return {
        "name": name,
        "scale": scale,
        "units": units,
        "axis_labels": axes,
        "metadata": {METADATA_KEY: reference},
    }


def volume_name(volume: Volume) -> str:
    """Return what layers of a volume are called: its file's name, without its suffix."""
    path = volume.grid.path
    return stem_of(path, VOLUME_SUFFIXES) if path is not None else "image"


def reference_of(metadata: dict[str, Any]) -> Reference | None:
    """Return the reference in a layer's metadata, if there is one."""
    found = metadata.get(METADATA_KEY)
    return found if isinstance(found, Reference) else None


@dataclass(frozen=True, eq=False)
class Suspended:
    """What a session that has ended knew besides the voxels of its labels."""

    document: Document
    unsaved: bool
    journal: Path


def suspended_on(layer: Layer) -> Suspended | None:
    """Return what a session that has ended left with its labels, if there was one."""
    left = layer.metadata.get(SUSPENDED_KEY)
    return left if isinstance(left, Suspended) else None


def kept_journals(viewer: ViewerModel) -> set[Path]:
    """Return the journals of sessions that have ended, but whose labels are still open."""
    return {left.journal for layer in viewer.layers if (left := suspended_on(layer)) is not None}


def placement_of(layer: Layer, shape: tuple[int, ...] | None = None) -> Placement:
    """Return where a layer's array lies in the world of the viewer, in the layer's own units.

    Parameters
    ----------
    layer : napari layer
    shape : tuple of int, optional
        Of the array, for layers that have none: shapes and points.

    Raises
    ------
    GeometryError
        If its transform is singular or not finite.
    """
    ndim = layer.ndim
    origin = np.asarray(layer.data_to_world(np.zeros(ndim)), float)
    affine = np.eye(ndim + 1)
    affine[:-1, -1] = origin
    for axis, unit in enumerate(np.eye(ndim)):
        affine[:-1, axis] = np.asarray(layer.data_to_world(unit), float) - origin
    return Placement(tuple(layer.data.shape) if shape is None else shape, affine)


def unit_factor(unit: Any, other: Any) -> float:
    """Return how many of another unit a unit is; 1 where they are not alike, as napari does."""
    try:
        return float((1 * unit).to(other).magnitude)
    except (AttributeError, TypeError, ValueError):  # pint's errors among them
        return 1.0


def volume_of(layer: Image | Labels) -> Volume:
    """Return a layer's array as a volume, on its file's grid where the layer knows it.

    A layer of other origin is taken to be in display order, with its own spacing; labels drawn
    on it cannot be saved as NIfTI.

    Raises
    ------
    InputError
        If it is RGB, multiscale, or has not 2 to 4 axes.
    GeometryError
        If its array no longer has the shape of its file's.
    """
    if getattr(layer, "rgb", False):
        message = f"the layer '{layer.name}' is RGB; expected one grey value per voxel."
        raise InputError(message)
    if layer.multiscale:
        message = f"the layer '{layer.name}' is multiscale; expected a single resolution."
        raise InputError(message)
    array = array_of(layer)
    reference = reference_of(layer.metadata)
    return _volume_by_scale(layer, array) if reference is None else reference.volume(array)


def array_of(layer: Image | Labels) -> Any:
    """Return a layer's voxels as a NumPy array, or as a dask array that is read slice by slice.

    Raises
    ------
    InputError
        If they are no array of real numbers.
    """
    data = layer.data
    if not isinstance(data, np.ndarray):
        data = getattr(data, "data", data) if hasattr(data, "dims") else data  # of xarray
    try:
        if not isinstance(data, np.ndarray):
            import dask.array as da

            data = data if isinstance(data, da.Array) else da.from_array(data)
        dtype = np.dtype(data.dtype)
    except (AttributeError, TypeError, ValueError, NotImplementedError) as error:
        message = (
            f"the voxels of the layer '{layer.name}' are a {type(layer.data).__name__} that cannot "
            f"be read as an array ({error}); make a NumPy array of it."
        )
        raise InputError(message) from error
    if dtype.kind not in "buif":
        message = f"the voxels of the layer '{layer.name}' are {dtype}; expected real numbers."
        raise InputError(message)
    return data


def is_usable(layer: Image) -> bool:
    """Tell whether `volume_of` has a volume for a layer."""
    try:
        volume_of(layer)
    except InputError:
        return False
    return True


def _volume_by_scale(layer: Image | Labels, array: Any) -> Volume:
    shape = tuple(array.shape)
    if len(shape) not in {2, 3, 4}:
        message = (
            f"the layer '{layer.name}' has {len(shape)} axes; expected 2 (row, column), 3 "
            "(slice, row, column) or 4 (time, slice, row, column)."
        )
        raise InputError(message)
    factors = [unit_factor(unit, "mm") for unit in layer.units]
    spacing = (np.array(placement_of(layer).spacing) * factors)[-3:]
    if len(shape) == 2:
        grid = Grid(shape, np.diag([*spacing, 1.0, 1.0]))
        return Volume(array, grid, Orientation(axes=(2, 0, 1)))
    grid = Grid((*shape[-3:], *shape[:-3]), np.diag([*spacing, 1.0]))
    return Volume(array, grid, Orientation())


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

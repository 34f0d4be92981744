"""Layers and volumes: what a layer has to carry so that its volume can be had back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError, InputError
from napari_samri.filenames import VOLUME_SUFFIXES, stem_of
from napari_samri.geometry import Grid, Orientation, Volume

if TYPE_CHECKING:
    from napari.layers import Image, Labels

METADATA_KEY = "samri"
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


def volume_of(layer: Image | Labels) -> Volume:
    """Return a layer's array as a volume, on its file's grid where the layer knows it.

    A layer of other origin is taken to be in display order, with its own scale; labels drawn
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
    reference = reference_of(layer.metadata)
    if reference is not None:
        return reference.volume(layer.data)
    return _volume_by_scale(layer)


def is_usable(layer: Image) -> bool:
    """Tell whether `volume_of` has a volume for a layer."""
    try:
        volume_of(layer)
    except InputError:
        return False
    return True


def _volume_by_scale(layer: Image | Labels) -> Volume:
    shape = tuple(layer.data.shape)
    if len(shape) not in {2, 3, 4}:
        message = (
            f"the layer '{layer.name}' has {len(shape)} axes; expected 2 (row, column), 3 "
            "(slice, row, column) or 4 (time, slice, row, column)."
        )
        raise InputError(message)
    spacing = np.abs(np.asarray(layer.scale, float))[-3:]
    if len(shape) == 2:
        grid = Grid(shape, np.diag([*spacing, 1.0, 1.0]))
        return Volume(layer.data, grid, Orientation(axes=(2, 0, 1)))
    grid = Grid((*shape[-3:], *shape[:-3]), np.diag([*spacing, 1.0]))
    return Volume(layer.data, grid, Orientation())

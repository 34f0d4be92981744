"""Where voxels are: volumes, planes, frames of model inputs, and intensities. NumPy only."""

from napari_samri.geometry.frames import (
    Frame,
    LongestSideFrame,
    StretchedFrame,
)
from napari_samri.geometry.grid import Grid, Orientation, display_orientation
from napari_samri.geometry.nearest import Resampled, resample_nearest
from napari_samri.geometry.placement import Placement
from napari_samri.geometry.plane import Plane
from napari_samri.geometry.volume import Volume

__all__ = [
    "Frame",
    "Grid",
    "LongestSideFrame",
    "Orientation",
    "Placement",
    "Plane",
    "Resampled",
    "StretchedFrame",
    "Volume",
    "display_orientation",
    "resample_nearest",
]

from .frames import Frame, LongestSideFrame, StretchedFrame
from .grid import Grid, Orientation, check_affine, guess_plane_axis
from .intensity import Window, finite, minmax_uint8, percentile_window, windowed_uint8
from .low_res import Reduction, image_to_low_res, labels_to_low_res
from .numbers import MAX_LABEL, flag, number, row, table, whole
from .placement import Placement, Resampled, resample_nearest
from .plane import TURNS, Plane, turned
from .volume import Volume

__all__ = [
    "MAX_LABEL",
    "TURNS",
    "Frame",
    "Grid",
    "LongestSideFrame",
    "Orientation",
    "Placement",
    "Plane",
    "Reduction",
    "Resampled",
    "StretchedFrame",
    "Volume",
    "Window",
    "check_affine",
    "finite",
    "flag",
    "guess_plane_axis",
    "image_to_low_res",
    "labels_to_low_res",
    "minmax_uint8",
    "number",
    "percentile_window",
    "resample_nearest",
    "row",
    "table",
    "turned",
    "whole",
    "windowed_uint8",
]

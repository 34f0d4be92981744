"""Intensities: from a scanner's units to the 0..255 that each model family was trained on.

Every function takes a 2D slice of any real dtype; values that are not finite count as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Window:
    """An intensity range (low, high) in the image's own units."""

    low: float
    high: float


def minmax_uint8(slice_2d: Array) -> Bytes:
    """Stretch a slice's own range over 0..255, rounded: SAM, SAMRI, MedicoSAM, starter.

    Raises
    ------
    InputError
        If the slice is constant.
    """
    values = finite(slice_2d)
    low, high = float(values.min()), float(values.max())
    if not high > low:
        message = (
            f"the slice is constant (all its pixels are {low:g}); "
            "expected an image. Choose another slice."
        )
        raise InputError(message)
    # In float64: float32 would round 0.5 differently for some integers.
    scaled = (values.astype(np.float64) - low) / (high - low)
    return np.rint(scaled * 255).astype(np.uint8)


def percentile_window(array: Array, low: float = 0.5, high: float = 99.5) -> Window:
    """Return the percentiles of an image's non-zero voxels, the window that MedSAM clips to.

    Of an image without non-zero voxels: (0, 0).
    """
    values = finite(array)
    values = values[values != 0]
    if values.size == 0:
        return Window(0.0, 0.0)
    bottom, top = np.percentile(values, (low, high))
    return Window(float(bottom), float(top))


def windowed_uint8(slice_2d: Array, window: Window) -> Bytes:
    """Clip a slice to a window and stretch that over 0..255; zeros stay 0: MedSAM, LiteMedSAM.

    Fractions are cut off, not rounded, as in MedSAM's preprocessing.

    Raises
    ------
    InputError
        If the window is empty, or one value is all that is left of the slice.
    """
    values = finite(slice_2d)
    clipped = np.clip(values.astype(np.float64), window.low, window.high)
    if not (window.high > window.low and clipped.max() > clipped.min()):
        message = (
            f"the slice is constant within its intensity window {window.low:g} to "
            f"{window.high:g}; expected an image. Choose another slice."
        )
        raise InputError(message)
    scaled = (clipped - window.low) / (window.high - window.low) * 255
    scaled[values == 0] = 0
    return scaled.astype(np.uint8)


def finite(array: Array) -> Array:
    """Return the array with NaN and infinities as 0; the same array if it has none."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
    return array

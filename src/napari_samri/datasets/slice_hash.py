"""Slices known by their content, whatever file and dtype they come from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIGITS = 16


def slice_hash(pixels: NDArray[Any]) -> str:
    """Return 16 hexadecimal digits that tell a slice (H, W) by its shape and values.

    Hashed are the shape and the values as little-endian float64: an integer slice and a
    floating-point one of the same values are the same.
    """
    values = np.ascontiguousarray(pixels, "<f8") + 0.0  # -0.0 is 0.0
    digest = hashlib.sha256(f"{pixels.shape}".encode())
    digest.update(values.data)
    return digest.hexdigest()[:_DIGITS]

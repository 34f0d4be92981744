"""Embeddings as they are stored: half precision, or 8 bits with a scale per channel.

8 bits are taken from the half-precision values, so that an interrupted run, which keeps those,
gives the same bytes as one that was not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]

LARGEST_INT8 = 127


def to_half(embedding: Array) -> NDArray[np.float16]:
    """Return an embedding (C, h, w) in half precision (relative error up to 5e-4).

    Raises
    ------
    StoreError
        If a value is not finite or exceeds what half precision can hold.
    """
    with np.errstate(over="ignore"):
        half = embedding.astype(np.float16)
    if not np.isfinite(half).all():
        message = (
            "the embedding has values that are not finite or above 65504, which cannot be "
            "stored; check the model's checkpoint."
        )
        raise StoreError(message)
    return half


def to_int8(half: NDArray[np.float16]) -> tuple[NDArray[np.int8], FloatArray]:
    """Return an embedding (C, h, w) as int8 and the scale (C,) of each channel.

    The scale is the channel's largest absolute value over 127; a channel of zeros has scale 0.
    """
    values = half.astype(np.float32)
    scale = np.abs(values).max(axis=(1, 2)) / LARGEST_INT8
    divisor = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(values / divisor[:, None, None]).astype(np.int8), scale.astype(np.float32)


def from_int8(stored: NDArray[np.int8], scale: FloatArray) -> FloatArray:
    """Return embeddings (..., C, h, w) of int8 with scales (..., C) as float32."""
    return np.multiply(stored, scale[..., None, None], dtype=np.float32)

"""Hashes of slices by their content: equal slices have equal hashes in files of any kind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_DIGITS = 16


def image_hash(pixels: NDArray[Any]) -> str:
    """Return the hash of a slice's grey values.

    The first 16 hexadecimal digits of the SHA-256 over the shape as ``ROWSxCOLUMNS``, a zero
    byte, and the values in C order as little-endian float64: a slice has one hash,
    whether its file stores it as int16 or as float32.

    Parameters
    ----------
    pixels : array (rows, columns)
        In display order; finite.
    """
    return _hash(np.asarray(pixels, dtype="<f8") + 0.0)  # of minus zero, plus zero


def labels_hash(pixels: NDArray[Any]) -> str:
    """Return the hash of a slice's labels: as `image_hash`, over little-endian uint16.

    Parameters
    ----------
    pixels : integer array (rows, columns)
        0 to 65535, in display order.
    """
    return _hash(np.asarray(pixels, dtype="<u2"))


def _hash(canonical: NDArray[Any]) -> str:
    rows, columns = canonical.shape
    digest = hashlib.sha256(f"{rows}x{columns}\0".encode())
    digest.update(np.ascontiguousarray(canonical).data)
    return digest.hexdigest()[:HASH_DIGITS]

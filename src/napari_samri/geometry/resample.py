"""Separable resampling of 2D images, as matrices: exact, and the same on every machine."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


@lru_cache(maxsize=64)
def bilinear_matrix(size_in: int, size_out: int) -> FloatArray:
    """Return the matrix (size_out, size_in) of bilinear interpolation along one axis.

    Pixel centres lie at half integers, samples outside repeat the border, and there is no
    antialiasing: PyTorch's ``interpolate(mode="bilinear", align_corners=False)``.
    """
    centre = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    centre = np.clip(centre, 0, size_in - 1)
    low = np.minimum(np.floor(centre).astype(int), size_in - 1)
    high = np.minimum(low + 1, size_in - 1)
    share = centre - low
    matrix = np.zeros((size_out, size_in))
    rows = np.arange(size_out)
    np.add.at(matrix, (rows, low), 1 - share)
    np.add.at(matrix, (rows, high), share)
    return _frozen(matrix)


@lru_cache(maxsize=64)
def coverage_matrix(size_in: int, cells: float) -> FloatArray:
    """Return the matrix (ceil(cells), size_in) that averages what each cell covers.

    The cells lie side by side over the axis; the last one may stick out, where `cells` is
    not a whole number, and averages what it covers of the axis.
    """
    scale = size_in / cells
    begin = np.arange(math.ceil(cells))[:, None] * scale
    pixel = np.arange(size_in)[None, :]
    overlap = np.minimum(begin + scale, pixel + 1) - np.maximum(begin, pixel)
    overlap = np.clip(overlap, 0, None)
    return _frozen(overlap / overlap.sum(axis=1, keepdims=True))


@lru_cache(maxsize=64)
def area_matrix(size_in: int, size_out: int) -> FloatArray:
    """Return the matrix (size_out, size_in) of OpenCV's INTER_AREA along one axis.

    Shrinking averages what each output pixel covers; enlarging interpolates linearly between
    the two pixels that an output pixel touches.
    """
    if size_out <= size_in:
        return coverage_matrix(size_in, size_out)
    scale = size_in / size_out
    matrix = np.zeros((size_out, size_in))
    for row in range(size_out):
        column = int(row * scale)
        share = (row + 1) - (column + 1) / scale
        share = share - math.floor(share) if share > 0 else 0.0
        matrix[row, column] += 1 - share
        matrix[row, min(column + 1, size_in - 1)] += share
    return _frozen(matrix)


def resample(image: NDArray[np.generic], rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Apply a matrix along each axis of an image (..., H, W) or of a stack of them."""
    return np.asarray(rows @ image.astype(np.float32) @ columns.T, np.float32)


def _frozen(matrix: NDArray[np.float64]) -> FloatArray:
    result = matrix.astype(np.float32)
    result.flags.writeable = False
    return result

"""Slices and their labels in a decoder's low-resolution frame, where losses are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.geometry.resample import coverage_matrix, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry.frames import Frame

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]


def labels_to_low_res(labels: Array, frame: Frame) -> Array:
    """Return labels (H, W) of a slice as (L, L): each cell gets the label that covers most of it.

    Background counts as a label; of two that cover a cell alike, the smaller one wins. What the
    slice does not fill is background.
    """
    rows, columns = _matrices(frame)
    values = np.unique(np.append(labels, 0))
    best = np.full((rows.shape[0], columns.shape[0]), 0, labels.dtype)
    most = resample(labels == 0, rows, columns)
    for value in values[values != 0]:
        covered = resample(labels == value, rows, columns)
        better = covered > most
        best[better] = value
        most = np.where(better, covered, most)
    return _padded(best, frame)


def image_to_low_res(image: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Return a slice (H, W) of 0..255 as (L, L), averaged over each cell; zeros beside it."""
    return _padded(np.rint(resample(image, *_matrices(frame))).astype(np.uint8), frame)


def _matrices(frame: Frame) -> tuple[FloatArray, FloatArray]:
    (height, width), (h, w) = frame.slice_shape, frame.low_res_extent
    return coverage_matrix(height, h), coverage_matrix(width, w)


def _padded(filled: Array, frame: Frame) -> Array:
    result = np.zeros((frame.low_res_size, frame.low_res_size), filled.dtype)
    result[: filled.shape[0], : filled.shape[1]] = filled
    return result

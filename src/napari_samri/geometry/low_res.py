"""Slices and their labels in a decoder's low-resolution frame, where losses are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_samri.geometry.resample import coverage_matrix, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry.frames import Frame

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]

Reduction = Literal["majority", "area"]
# Coverage is compared in steps of this part of a cell: finer, rounding would decide.
_LEVELS = 4096


def labels_to_low_res(labels: Array, frame: Frame, reduction: Reduction = "area") -> Array:
    """Return labels (H, W) of a slice as (L, L), each cell of one label.

    Parameters
    ----------
    labels : int array (H, W)
    frame : Frame
    reduction : str
        ``area``: each label gets the cells that it covers most, down to the share at which its
        area is nearest to what it was, and the smaller of two objects that both want a cell gets
        it. Cells that a structure covers equally stay together: of a line of one pixel where two
        become one, it gets all cells rather than none.
        ``majority``: each cell gets the label that covers most of it, background included, of
        equal ones the smaller number. Thin structures lose most of their area: banks of version 1
        were made so.

    Returns
    -------
    array (L, L)
        What the slice does not fill is background.
    """
    reduce = _by_area if reduction == "area" else _by_majority
    return _padded(reduce(labels, *_matrices(frame), frame), frame)


def _by_area(labels: Array, rows: FloatArray, columns: FloatArray, frame: Frame) -> Array:
    (height, width), (h, w) = frame.slice_shape, frame.low_res_extent
    cells_of_pixel = h * w / (height * width)
    values, counts = np.unique(labels[labels != 0], return_counts=True)
    result = np.zeros((rows.shape[0], columns.shape[0]), labels.dtype)
    # The largest first: a smaller one then takes the cells that both want.
    for at in np.argsort(-counts, kind="stable"):
        covered = resample(labels == values[at], rows, columns)
        result[_most_covered(covered, float(counts[at]) * cells_of_pixel)] = values[at]
    return result


def _most_covered(covered: FloatArray, cells: float) -> NDArray[np.bool_]:
    """Return the cells that are covered by at least so much that about `cells` are chosen.

    Of two counts that are not `cells`, the one with the smaller quotient to it: a half of the
    area is as wrong as twice the area.
    """
    levels = np.rint(covered * _LEVELS).astype(np.int64)
    chosen = np.bincount(levels.ravel(), minlength=_LEVELS + 1)[::-1].cumsum()[::-1]
    chosen = chosen[1:]  # what is not covered at all is never chosen
    with np.errstate(divide="ignore"):
        wrong = np.abs(np.log(chosen / cells))
    # The highest of equal shares would do too: the same cells reach all of them.
    return np.asarray(levels > int(wrong.argmin()))


def _by_majority(labels: Array, rows: FloatArray, columns: FloatArray, _: Frame) -> Array:
    values = np.unique(np.append(labels, 0))
    best = np.full((rows.shape[0], columns.shape[0]), 0, labels.dtype)
    most = resample(labels == 0, rows, columns)
    for value in values[values != 0]:
        covered = resample(labels == value, rows, columns)
        better = covered > most
        best[better] = value
        most = np.where(better, covered, most)
    return best


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

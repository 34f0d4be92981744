"""Labels of a whole volume from requests in its file's own voxel indices."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import InputError
from napari_samri.geometry import Plane, Volume, percentile_window
from napari_samri.prompts import Box, Point, PromptSet
from napari_samri.segment.answers import Answerer
from napari_samri.segment.masks import NO_POST_PROCESSING, PostProcessing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_samri.prompts import SliceRequest
    from napari_samri.segment.predictor import Predictor

    BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SliceMask:
    """The mask of one request, (H, W), on a plane of the volume in display order."""

    request: SliceRequest
    plane: Plane
    prompts: PromptSet
    mask: BoolArray


def segment_slices(
    predictor: Predictor,
    volume: Volume,
    requests: Iterable[SliceRequest],
    post: PostProcessing = NO_POST_PROCESSING,
) -> Iterator[SliceMask]:
    """Yield the mask of each request, in their order.

    All requests are checked before the first slice is encoded.

    Raises
    ------
    InputError
        If a slice or a prompt lies outside the volume, or a slice is constant.
    """
    checked = []
    for request in requests:
        with _naming(request, volume):
            checked.append(_resolve(request, volume))
    window = percentile_window(volume.array) if predictor.needs_window else None
    for request, plane, prompts in checked:
        with _naming(request, volume):
            embedding = predictor.embed(plane.extract(volume), window=window)
        answer = Answerer(predictor)(embedding, prompts.split(), post=post)
        yield SliceMask(request, plane, prompts, answer.masks[0])


def paint_labels(volume: Volume, masks: Sequence[SliceMask]) -> NDArray[np.uint16]:
    """Return labels of the volume's shape, in display order; later masks lie over earlier ones."""
    labels = np.zeros(volume.array.shape, np.uint16)
    for answer in masks:
        answer.plane.of(labels)[answer.mask] = answer.request.label
    return labels


@contextmanager
def _naming(request: SliceRequest, volume: Volume) -> Iterator[None]:
    """Say of an InputError which file and slice it is about."""
    try:
        yield
    except InputError as error:
        where = f"{volume.grid.path or 'the volume'}, axis {request.axis}, index {request.index}"
        message = f"{where}: {error}"
        raise type(error)(message) from error


def _resolve(request: SliceRequest, volume: Volume) -> tuple[SliceRequest, Plane, PromptSet]:
    """Turn a request in stored indices into a plane and prompts in its pixels, all checked."""
    shape = volume.grid.spatial_shape
    if request.axis not in range(3) or not 0 <= request.index < shape[request.axis]:
        size = shape[request.axis] if request.axis in range(3) else 0
        message = (
            f"this slice does not exist: the file's shape is {volume.grid.shape}; expected an "
            "axis of 0 to 2" + (f" and an index of 0 to {size - 1}." if size else ".")
        )
        raise InputError(message)
    axis, index = volume.orientation.index_to_display(request.axis, request.index, shape)
    _check_time(request, volume)
    plane = Plane(axis, index, request.time)
    plane.check(volume)
    prompts = _to_pixels(request, volume, plane)
    for prompt in prompts.split():
        prompt.check(plane.shape(volume))
    return request, plane, prompts


def _check_time(request: SliceRequest, volume: Volume) -> None:
    if volume.times is None and request.time not in {None, 0}:
        message = f"the time point is {request.time}, but the file has one; leave it out."
        raise InputError(message)
    if volume.times is not None and request.time is None:
        message = f"the file has {volume.times} time points; choose one, 0 to {volume.times - 1}."
        raise InputError(message)


def _to_pixels(request: SliceRequest, volume: Volume, plane: Plane) -> PromptSet:
    boxes = []
    for low0, low1, high0, high1 in request.boxes:
        _check_extent(request, (low0, low1, high0, high1), volume)
        x0, y0 = _pixel(request, (low0, low1), volume, plane)
        x1, y1 = _pixel(request, (high0, high1), volume, plane)
        boxes.append(Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    points = []
    for first, second, sign in request.points:
        _check_extent(request, (first, second), volume)
        points.append(Point(*_pixel(request, (first, second), volume, plane), sign == 1))
    return PromptSet(tuple(boxes), tuple(points))


def _pixel(
    request: SliceRequest, pair: tuple[float, float], volume: Volume, plane: Plane
) -> tuple[float, float]:
    """Turn stored indices along the slice's two other axes into (x, y) of its pixels."""
    stored = np.insert(np.asarray(pair, float), request.axis, request.index)
    matrix = np.linalg.inv(volume.orientation.matrix(volume.grid.spatial_shape))
    row, column = plane.voxels_to_pixels(matrix[:3, :3] @ stored + matrix[:3, 3])[0]
    return float(column), float(row)


def _check_extent(request: SliceRequest, values: Sequence[float], volume: Volume) -> None:
    """Raise InputError in the file's own indices, before they are turned into pixels."""
    axes = [axis for axis in range(3) if axis != request.axis]
    sizes = [volume.grid.spatial_shape[axis] for axis in axes]
    for value, axis, size in zip(values, axes * 2, sizes * 2, strict=False):
        if not 0 <= value <= size - 1:
            message = (
                f"the prompt {', '.join(f'{v:g}' for v in values)} lies outside the slice: "
                f"{value:g} along axis {axis}; expected 0 to {size - 1}."
            )
            raise InputError(message)
    if len(values) == 4 and not (values[2] > values[0] and values[3] > values[1]):
        message = (
            f"the box {', '.join(f'{v:g}' for v in values)} has no size; expected "
            "LO0 LO1 HI0 HI1 with LO0 < HI0 and LO1 < HI1."
        )
        raise InputError(message)

"""How the starter sees a slice: as SAM does, on 256 pixels and one channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samri.geometry import Frame, LongestSideFrame
from napari_samri.models.preprocessing import Family
from napari_samri.models.starter.architecture import PIXEL_MEAN, PIXEL_STD

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT_SIZE = 256


def _frame(slice_shape: tuple[int, int], *, exact: bool) -> Frame:
    return LongestSideFrame(slice_shape, INPUT_SIZE, INPUT_SIZE, exact=exact)


def _channel(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((image[None] - PIXEL_MEAN) / PIXEL_STD, np.float32)


STARTER = Family(
    id="starter",
    preprocessing="minmax-u8.longest-256-pil.grey.v1",
    frame=_frame,
    normalise=_channel,
    box_prior=True,
    exact=True,  # it was trained on boxes and points in the pixels of its input
)

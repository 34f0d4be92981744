"""Model families: the preprocessing that each was trained with, from slice to input tensor.

To add a family, make a `Family` and put it into `FAMILIES`. Its `preprocessing` id goes into
every embedding's key: change it whenever the numbers that reach the encoder change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from napari_samri.geometry import (
    Frame,
    LongestSideFrame,
    StretchedFrame,
    Window,
    minmax_uint8,
    percentile_window,
    windowed_uint8,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Bytes = NDArray[np.uint8]
    FloatArray = NDArray[np.float32]

SAM_MEAN = (123.675, 116.28, 103.53)
SAM_STD = (58.395, 57.12, 57.375)


class FrameMaker(Protocol):
    """Makes the frame of a slice, for prompts that go by one of the two maps."""

    def __call__(self, slice_shape: tuple[int, int], *, exact: bool) -> Frame:
        """Return the frame of slices of (H, W)."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """How the models of a family see a slice.

    Parameters
    ----------
    id : str
    preprocessing : str
        Names everything that happens to a slice before the encoder.
    frame : callable
        Makes the `Frame` of slices of one shape.
    normalise : callable
        Resized slice (h, w) of 0..255 -> input channels (C, h, w).
    windowed : bool
        Whether intensities are clipped to a window of the volume, or stretched per slice.
    takes_points : bool
        Whether the family was trained with point prompts.
    box_prior : bool
        Whether a box without a mask prompt comes with `napari_samri.models.prior.box_prior`, which
        is also added to the answer.
    exact : bool
        Whether prompts go by the exact map from slice to input (`napari_samri.geometry.frames`),
        as for what is trained here, or by that of the SAM library, as for what others
        published. Of a tuned decoder, its card says so.
    """

    id: str
    preprocessing: str
    frame: FrameMaker
    normalise: Callable[[FloatArray], FloatArray]
    windowed: bool = False
    takes_points: bool = True
    box_prior: bool = False
    exact: bool = False

    def make_frame(self, slice_shape: tuple[int, int]) -> Frame:
        """Return the frame of slices of (H, W), by the family's own map for prompts."""
        return self.frame(slice_shape, exact=self.exact)

    def to_uint8(self, slice_2d: Array, window: Window | None = None) -> Bytes:
        """Turn a slice (H, W) of any real dtype into the family's 0..255.

        Without a `window`, families that need one take it from the slice itself.
        """
        if not self.windowed:
            return minmax_uint8(slice_2d)
        return windowed_uint8(slice_2d, window or percentile_window(slice_2d))

    def to_input(self, image: Bytes) -> torch.Tensor:
        """Lay a slice (H, W) of 0..255 into the encoder's input (1, C, S, S), zero-padded."""
        frame = self.make_frame((image.shape[0], image.shape[1]))
        channels = self.normalise(frame.image_to_input(image))
        size = frame.input_size
        padded = np.zeros((1, channels.shape[0], size, size), np.float32)
        padded[0, :, : channels.shape[1], : channels.shape[2]] = channels
        return torch.from_numpy(padded)


def _sam_channels(image: FloatArray) -> FloatArray:
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (SAM_MEAN, SAM_STD))
    return np.asarray((image[None] - mean) / std, np.float32)


def _unit_channels(image: FloatArray) -> FloatArray:
    span = max(float(image.max() - image.min()), 1e-8)
    return np.repeat((image[None] - image.min()) / np.float32(span), 3, axis=0)


def _light_frame(slice_shape: tuple[int, int], *, exact: bool) -> Frame:
    return LongestSideFrame(slice_shape, 256, 256, area=True, exact=exact)


SAM = Family(
    id="sam",
    preprocessing="minmax-u8.longest-1024-pil.imagenet.v1",
    frame=LongestSideFrame,
    normalise=_sam_channels,
)
MEDSAM = Family(
    id="medsam",
    preprocessing="percentile-u8.stretch-1024-cubic.unit.v1",
    frame=StretchedFrame,
    normalise=_unit_channels,
    windowed=True,
    takes_points=False,
)
LITEMEDSAM = Family(
    id="litemedsam",
    preprocessing="percentile-u8.longest-256-area.unit.v1",
    frame=_light_frame,
    normalise=_unit_channels,
    windowed=True,
    takes_points=False,
)

FAMILIES = {family.id: family for family in (SAM, MEDSAM, LITEMEDSAM)}

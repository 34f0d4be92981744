"""Preprocessings: from a slice to a network's input, as each family of models was trained.

Users know a preprocessing as the family of the models that share it. Its `identity` goes into
every embedding's key: change it whenever the numbers that reach the encoder change. A package
brings its own by the entry point group ``napari_samri.preprocessings``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_samri.errors import ModelError
from napari_samri.geometry import (
    Frame,
    LongestSideFrame,
    StretchedFrame,
    Window,
    minmax_uint8,
    percentile_window,
    windowed_uint8,
)
from napari_samri.plugins import NamedRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Bytes = NDArray[np.uint8]
    FloatArray = NDArray[np.float32]

SAM_MEAN = (123.675, 116.28, 103.53)
SAM_STD = (58.395, 57.12, 57.375)
# The starter's, of uint8 slices; the padding around a slice is 0 afterwards, as in SAM.
PIXEL_MEAN, PIXEL_STD = 75.0, 60.0


class FrameMaker(Protocol):
    """Makes the frame of a slice, for prompts that go by one of the two maps."""

    def __call__(self, slice_shape: tuple[int, int], *, exact: bool) -> Frame:
        """Return the frame of slices of (H, W)."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How the models of a family see a slice.

    Parameters
    ----------
    id : str
        The family's name.
    identity : str
        Names everything that happens to a slice before the encoder.
    frame : callable
        Makes the `Frame` of slices of one shape.
    normalise : callable
        Resized slice (h, w) of 0..255 -> input channels (C, h, w).
    channels : int
        C.
    windowed : bool
        Whether intensities are clipped to a window of the volume, or stretched per slice.
    exact : bool
        Whether prompts go by the exact map from slice to input (`napari_samri.geometry.frames`),
        as for what is trained here, or by that of the SAM library, as for what others
        published. Of a tuned decoder, its card says so.
    """

    id: str
    identity: str
    frame: FrameMaker
    normalise: Callable[[FloatArray], FloatArray]
    channels: int = 3
    windowed: bool = False
    exact: bool = False

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, S, S) of the input that it makes."""
        size = self.make_frame((1, 1)).input_size
        return self.channels, size, size

    def make_frame(self, slice_shape: tuple[int, int]) -> Frame:
        """Return the frame of slices of (H, W), by its own map for prompts."""
        return self.frame(slice_shape, exact=self.exact)

    def to_uint8(self, slice_2d: Array, window: Window | None = None) -> Bytes:
        """Turn a slice (H, W) of any real dtype into 0..255.

        Without a `window`, one that is needed is taken from the slice itself.
        """
        if not self.windowed:
            return minmax_uint8(slice_2d)
        return windowed_uint8(slice_2d, window or percentile_window(slice_2d))

    def to_input(self, image: Bytes) -> FloatArray:
        """Lay a slice (H, W) of 0..255 into the encoder's input (1, C, S, S), zero-padded."""
        frame = self.make_frame((image.shape[0], image.shape[1]))
        channels = self.normalise(frame.image_to_input(image))
        padded = np.zeros((1, *self.input_shape), np.float32)
        padded[0, :, : channels.shape[1], : channels.shape[2]] = channels
        return padded


def _sam_channels(image: FloatArray) -> FloatArray:
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (SAM_MEAN, SAM_STD))
    return np.asarray((image[None] - mean) / std, np.float32)


def _unit_channels(image: FloatArray) -> FloatArray:
    span = max(float(image.max() - image.min()), 1e-8)
    return np.repeat((image[None] - image.min()) / np.float32(span), 3, axis=0)


def _light_frame(slice_shape: tuple[int, int], *, exact: bool) -> Frame:
    return LongestSideFrame(slice_shape, 256, 256, area=True, exact=exact)


def _grey_channel(image: FloatArray) -> FloatArray:
    return np.asarray((image[None] - PIXEL_MEAN) / PIXEL_STD, np.float32)


def _starter_frame(slice_shape: tuple[int, int], *, exact: bool) -> Frame:
    return LongestSideFrame(slice_shape, 256, 256, exact=exact)


SAM = Preprocessing(
    id="sam",
    identity="minmax-u8.longest-1024-pil.imagenet.v1",
    frame=LongestSideFrame,
    normalise=_sam_channels,
)
MEDSAM = Preprocessing(
    id="medsam",
    identity="percentile-u8.stretch-1024-cubic.unit.v1",
    frame=StretchedFrame,
    normalise=_unit_channels,
    windowed=True,
)
LITEMEDSAM = Preprocessing(
    id="litemedsam",
    identity="percentile-u8.longest-256-area.unit.v1",
    frame=_light_frame,
    normalise=_unit_channels,
    windowed=True,
)
STARTER = Preprocessing(
    id="starter",
    identity="minmax-u8.longest-256-pil.grey.v1",
    frame=_starter_frame,
    normalise=_grey_channel,
    channels=1,
    exact=True,  # it was trained on boxes and points in the pixels of its input
)

PREPROCESSINGS = NamedRegistry(
    "napari_samri.preprocessings",
    Preprocessing,
    lambda: (SAM, MEDSAM, LITEMEDSAM, STARTER),
    noun="preprocessing",
    error=ModelError,
)
register_preprocessing = PREPROCESSINGS.register
unregister_preprocessing = PREPROCESSINGS.unregister
known_preprocessings = PREPROCESSINGS.known
find_preprocessing = PREPROCESSINGS.find

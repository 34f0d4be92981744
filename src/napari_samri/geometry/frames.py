"""Frames: how a slice is laid into a model's square input, and how answers come back.

A frame belongs to one slice shape. Coordinates carry their frame in their names: ``_slice`` is
in pixels of the slice, ``_input`` in pixels of the model's input; points are (x, y), that is
(column, row), and boxes (x0, y0, x1, y1), as in the SAM library.

There are two maps from slice to input, and a model has to be asked by the one that it was trained
with. The SAM library multiplies by the scale s, and its prompt encoder adds half an input pixel:
the centre of slice pixel i goes to s i, up to half a slice pixel beside where the image has it.
The exact map puts centres on centres, s (i + 0.5) - 0.5, and a box from its first pixel's first
input pixel, s i, to its last pixel's last one, s (i + 1) - 1.

References
----------
Kirillov et al., Segment Anything, 2023, https://doi.org/10.1109/ICCV51070.2023.00371
Ma et al., Segment anything in medical images, 2024, https://doi.org/10.1038/s41467-024-44824-z
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from napari_samri.geometry.resample import (
    area_matrix,
    bilinear_matrix,
    coverage_matrix,
    resample,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float32]
    Points = NDArray[np.float64]
    Bytes = NDArray[np.uint8]
    BoolArray = NDArray[np.bool_]

MASK_LOGIT = 6.907  # ln(0.999 / 0.001): a mask that is nearly certain


class Frame(Protocol):
    """What the predictor needs of a frame; implement it to add a model family."""

    @property
    def slice_shape(self) -> tuple[int, int]:
        """(H, W) of the slice."""

    @property
    def input_size(self) -> int:
        """Side of the model's square input in pixels."""

    @property
    def low_res_size(self) -> int:
        """Side of the decoder's logits in pixels."""

    @property
    def low_res_extent(self) -> tuple[float, float]:
        """(h, w) of the logits' part that the slice fills; need not be whole numbers."""

    def image_to_input(self, image: Bytes) -> FloatArray:
        """Resize a slice (H, W) of 0..255 to the part (h, w) of the input that it fills."""

    def points_to_input(self, points_xy: ArrayLike) -> Points:
        """Map points (N, 2) from slice pixels to input pixels."""

    def points_to_slice(self, points_xy: ArrayLike) -> Points:
        """Map points (N, 2) from input pixels to slice pixels: the inverse."""

    def box_to_input(self, box_xyxy: ArrayLike) -> Points:
        """Map a box (4,), whose corners are its first and last pixel, to the input."""

    def logits_to_masks(self, logits: FloatArray) -> BoolArray:
        """Turn low-resolution logits (M, L, L) into masks of the slice (M, H, W)."""

    def mask_to_logits(self, mask: BoolArray) -> FloatArray:
        """Turn a mask of the slice (H, W) into low-resolution logits (1, L, L), a mask prompt."""


class _Scaled:
    """What every frame shares: a scale along each axis, and which of the two maps is meant."""

    slice_shape: tuple[int, int]
    filled_shape: tuple[int, int]
    exact: bool

    @property
    def _scale_xy(self) -> NDArray[np.float64]:
        (height, width), (h, w) = self.slice_shape, self.filled_shape
        return np.array([w / width, h / height])

    @property
    def _shift_xy(self) -> NDArray[np.float64]:
        """Where the centre of the slice's first pixel lies in the input."""
        scale = self._scale_xy
        return scale / 2 - 0.5 if self.exact else np.zeros_like(scale)

    def points_to_input(self, points_xy: ArrayLike) -> Points:
        """Map points (N, 2) from slice pixels to input pixels."""
        return np.asarray(points_xy, float) * self._scale_xy + self._shift_xy

    def points_to_slice(self, points_xy: ArrayLike) -> Points:
        """Map points (N, 2) from input pixels to slice pixels: the inverse."""
        return (np.asarray(points_xy, float) - self._shift_xy) / self._scale_xy

    def box_to_input(self, box_xyxy: ArrayLike) -> Points:
        """Map a box (4,), whose corners are its first and last pixel, to the input.

        By the exact map, a box that is less than a pixel of the input is its centre, twice.
        """
        low, high = np.asarray(box_xyxy, float).reshape(2, 2)
        if not self.exact:
            return np.concatenate([low, high]) * np.tile(self._scale_xy, 2)
        first, last = low * self._scale_xy, (high + 1) * self._scale_xy - 1
        middle = (first + last) / 2
        return np.concatenate([np.minimum(first, middle), np.maximum(last, middle)])


@dataclass(frozen=True)
class LongestSideFrame(_Scaled):
    """The slice's longest side fills the input; the rest is padding at the bottom and right.

    SAM, SAMRI, MedicoSAM and MobileSAM (1024), the starter (256), and LiteMedSAM (256,
    `area` resizing).

    Parameters
    ----------
    slice_shape : tuple of int
        (H, W) of the slice.
    input_size : int
        Side of the input in pixels.
    low_res_size : int
        Side of the decoder's logits in pixels.
    area : bool
        Average areas as OpenCV does, instead of PIL's antialiased bilinear filter, and scale
        coordinates by the longest side alone: LiteMedSAM's way.
    exact : bool
        Whether prompts go by the exact map, or by that of the SAM library.
    """

    slice_shape: tuple[int, int]
    input_size: int = 1024
    low_res_size: int = 256
    area: bool = False
    exact: bool = False

    @property
    def _scale_xy(self) -> NDArray[np.float64]:
        if not self.area:
            return super()._scale_xy
        return np.full(2, self.input_size / max(self.slice_shape))

    @cached_property
    def filled_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """(h, w) of the input's part that the slice fills, rounded half up as SAM does."""
        height, width = self.slice_shape
        scale = self.input_size / max(height, width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def image_to_input(self, image: Bytes) -> FloatArray:
        """Resize a slice (H, W) of 0..255 to the part (h, w) of the input that it fills."""
        h, w = self.filled_shape
        if self.area:
            rows = area_matrix(self.slice_shape[0], h)
            return np.rint(resample(image, rows, area_matrix(self.slice_shape[1], w)))
        resized = Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR)
        return np.asarray(resized, np.float32)

    def logits_to_masks(self, logits: FloatArray) -> BoolArray:
        """Turn low-resolution logits (M, L, L) into masks of the slice (M, H, W).

        LiteMedSAM's published code takes the sigmoid after resampling and cuts at 0.5, which is
        the same as 0 here.
        """
        return self.logits_to_slice(logits) > 0

    def logits_to_slice(self, logits: FloatArray) -> FloatArray:
        """Resample low-resolution logits (M, L, L) to the slice: (M, H, W).

        Bilinear to the input's size, crop of the padding, bilinear to the slice: two steps
        along each axis, done as one matrix per axis.
        """
        return resample(logits, *self._back)

    @cached_property
    def _back(self) -> tuple[FloatArray, FloatArray]:
        up = bilinear_matrix(self.low_res_size, self.input_size)
        rows, columns = (
            bilinear_matrix(filled, size) @ up[:filled]
            for filled, size in zip(self.filled_shape, self.slice_shape, strict=True)
        )
        return rows, columns

    @property
    def low_res_extent(self) -> tuple[float, float]:
        """(h, w) of the logits' part that the slice fills; need not be whole numbers."""
        h, w = (n * self.low_res_size / self.input_size for n in self.filled_shape)
        return h, w

    def mask_to_logits(self, mask: BoolArray) -> FloatArray:
        """Turn a mask of the slice (H, W) into low-resolution logits (1, L, L), a mask prompt."""
        size = self.low_res_size
        logits = np.full((1, size, size), -MASK_LOGIT, np.float32)
        filled = _shrunk(mask, *self.low_res_extent)
        logits[0, : filled.shape[0], : filled.shape[1]] = filled
        return logits


@dataclass(frozen=True)
class StretchedFrame(_Scaled):
    """The slice is stretched over the whole input, whatever its aspect: MedSAM.

    Parameters
    ----------
    slice_shape : tuple of int
        (H, W) of the slice.
    input_size, low_res_size : int
        Sides of the input and of the decoder's logits in pixels.
    exact : bool
        Whether prompts go by the exact map, or by that of the SAM library.
    """

    slice_shape: tuple[int, int]
    input_size: int = 1024
    low_res_size: int = 256
    exact: bool = False

    @property
    def filled_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """The whole input."""
        return self.input_size, self.input_size

    @property
    def low_res_extent(self) -> tuple[float, float]:
        """The whole of the logits."""
        return self.low_res_size, self.low_res_size

    def image_to_input(self, image: Bytes) -> FloatArray:
        """Resize a slice (H, W) of 0..255 to the input, bicubic with antialiasing, to integers."""
        from skimage.transform import resize

        resized = resize(
            image,
            self.filled_shape,
            order=3,
            preserve_range=True,
            anti_aliasing=True,
        )
        return resized.astype(np.uint8).astype(np.float32)

    def logits_to_masks(self, logits: FloatArray) -> BoolArray:
        """Turn low-resolution logits (M, L, L) into masks of the slice (M, H, W).

        As MedSAM's published code: probabilities, not logits, are interpolated, straight to the
        slice, and cut at 0.5. Where a mask has less than a low-resolution pixel of width, the
        two differ.
        """
        rows, columns = (bilinear_matrix(self.low_res_size, n) for n in self.slice_shape)
        return resample(_sigmoid(logits), rows, columns) > 0.5

    def mask_to_logits(self, mask: BoolArray) -> FloatArray:
        """Turn a mask of the slice (H, W) into low-resolution logits (1, L, L), a mask prompt."""
        return _shrunk(mask, *self.low_res_extent)[None]


def _sigmoid(logits: FloatArray) -> FloatArray:
    return np.exp(-np.logaddexp(np.float32(0), -np.asarray(logits, np.float32)))


def _shrunk(mask: BoolArray, h: float, w: float) -> FloatArray:
    """Return the logits of a mask on h x w cells: those that it covers by more than half."""
    rows, columns = coverage_matrix(mask.shape[0], h), coverage_matrix(mask.shape[1], w)
    inside = resample(mask, rows, columns) > 0.5
    return np.where(inside, MASK_LOGIT, -MASK_LOGIT).astype(np.float32)

"""Masks that can be compared, hashed and kept: bool arrays as packed bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class MaskRegion:
    """A mask of a slice; equal to another one if shape and pixels are.

    Parameters
    ----------
    bits : bytes
        The pixels, row by row, as bits; the last byte is filled up with zeros.
    shape : tuple of int
        (H, W) of the slice.

    Raises
    ------
    InputError
        If there are not as many bits as the shape has pixels.
    """

    bits: bytes = field(repr=False)
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        height, width = self.shape
        spare = 8 * len(self.bits) - height * width
        fits = 0 <= spare < 8 and height >= 0 <= width
        if not fits or (spare and self.bits[-1] & ((1 << spare) - 1)):
            message = f"{len(self.bits)} bytes are no mask of {height} x {width} pixels."
            raise InputError(message)

    @classmethod
    def from_array(cls, mask: ArrayLike) -> Self:
        """Pack a mask (H, W); what is not 0 is inside.

        Raises
        ------
        InputError
            If the mask has no two axes.
        """
        array = np.asarray(mask)
        if array.ndim != 2:
            message = f"the mask's shape is {array.shape}; expected two axes (rows, columns)."
            raise InputError(message)
        return cls(np.packbits(array != 0).tobytes(), (array.shape[0], array.shape[1]))

    @property
    def array(self) -> NDArray[np.bool_]:
        """The mask as bool (H, W): a new array."""
        height, width = self.shape
        bits = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=height * width)
        return bits.reshape(self.shape).astype(bool)

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.bits.count(0) == len(self.bits)

    def check(self, slice_shape: tuple[int, int]) -> None:
        """Raise InputError unless the mask has pixels and the shape of a slice (H, W)."""
        if self.shape != tuple(slice_shape):
            message = (
                f"the mask prompt's shape is {self.shape}; expected the slice's, "
                f"{tuple(slice_shape)}."
            )
            raise InputError(message)
        if self.is_empty:
            message = "the mask prompt is empty: expected a mask with at least one pixel inside."
            raise InputError(message)

"""Points, boxes, masks and what they say together, immutable, in pixels (x, y) of a slice.

The centre of the first pixel is (0, 0). Boxes name the first and the last pixel of an object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_samri.errors import InputError
from napari_samri.geometry import flag, number

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


@dataclass(frozen=True)
class Point:
    """A point on an object (positive) or off it (negative)."""

    x: float
    y: float
    positive: bool = True

    def __post_init__(self) -> None:
        _as_floats(self, ("x", "y"), "a point's")
        if type(self.positive) is not bool:
            object.__setattr__(self, "positive", flag(self.positive, "positive"))

    def check(self, slice_shape: tuple[int, int]) -> None:
        """Raise InputError unless the point lies on a slice of (H, W) pixels."""
        height, width = slice_shape
        if not (_within(self.x, width) and _within(self.y, height)):
            message = (
                f"the point ({self.x:g}, {self.y:g}) lies outside the slice; expected x in "
                f"0 to {width - 1} and y in 0 to {height - 1}. Move it onto the image."
            )
            raise InputError(message)


@dataclass(frozen=True)
class Box:
    """A rectangle around an object."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        _as_floats(self, ("x0", "y0", "x1", "y1"), "a box's")

    def contains(self, point: Point) -> bool:
        """Tell whether a point lies in the box, its border included."""
        return self.x0 <= point.x <= self.x1 and self.y0 <= point.y <= self.y1

    def check(self, slice_shape: tuple[int, int]) -> None:
        """Raise InputError unless the box has a size and lies on a slice of (H, W) pixels."""
        height, width = slice_shape
        name = f"the box ({self.x0:g}, {self.y0:g}) to ({self.x1:g}, {self.y1:g})"
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            message = f"{name} has no size; expected x0 < x1 and y0 < y1."
            raise InputError(message)
        if not all(
            (_within(v, width) and _within(w, height))
            for v, w in ((self.x0, self.y0), (self.x1, self.y1))
        ):
            message = (
                f"{name} reaches outside the slice; expected x in 0 to {width - 1} and y in "
                f"0 to {height - 1}."
            )
            raise InputError(message)


def _as_floats(item: Point | Box, names: tuple[str, ...], whose: str) -> None:
    """Make coordinates that came as other numbers Python's own, to be compared and written."""
    for name in names:
        value = getattr(item, name)
        if type(value) is not float:
            object.__setattr__(item, name, number(value, f"{whose} {name}", finite=False))


def _within(value: float, size: int) -> bool:
    # Half a pixel beyond the last centre is the image's edge; SAM's own boxes may end at `size`.
    return math.isfinite(value) and -0.5 <= value <= size


@dataclass(frozen=True)
class Prompt:
    """What is said about one object: a box, points, a mask, or several of them."""

    box: Box | None = None
    points: tuple[Point, ...] = ()
    mask: MaskRegion | None = None

    def check(self, slice_shape: tuple[int, int]) -> None:
        """Raise InputError unless there is something to go by, and all of it on the slice."""
        something = self.box is not None or self.mask is not None
        if not (something or any(point.positive for point in self.points)):
            message = (
                "the prompt is empty: expected a box, an outline, or at least one positive point."
                if not self.points
                else "all points are negative: expected a box, an outline or a positive point as "
                "well."
            )
            raise InputError(message)
        for part in (*self.points, self.box, self.mask):
            if part is not None:
                part.check(slice_shape)

    @property
    def box_xyxy(self) -> NDArray[np.float64] | None:
        """The box as (4,), or None."""
        box = self.box
        return None if box is None else np.array([box.x0, box.y0, box.x1, box.y1], float)

    @property
    def points_xy(self) -> NDArray[np.float64] | None:
        """The points as (N, 2), or None."""
        return np.array([[p.x, p.y] for p in self.points], float) if self.points else None

    @property
    def point_labels(self) -> NDArray[np.int64] | None:
        """1 for each positive and 0 for each negative point, (N,), or None."""
        return np.array([int(p.positive) for p in self.points]) if self.points else None

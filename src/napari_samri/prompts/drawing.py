"""Scribbles, diameters and outlines as they were drawn, immutable, in pixels (x, y) of a slice.

They may reach over the slice's border; `PromptSet.resolve` clips them to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Pair = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A scribble on an object (positive) or off it (negative).

    Parameters
    ----------
    points : tuple of (x, y)
        The path; a single point is a dot.
    positive : bool
        Whether it is on the object.
    """

    points: tuple[Pair, ...]
    positive: bool = True

    @classmethod
    def from_xy(cls, points_xy: ArrayLike, *, positive: bool = True) -> Self:
        """Make a scribble of points (N, 2).

        Raises
        ------
        InputError
            If the points are not of that shape, not finite, or none.
        """
        return cls(_pairs(check_path(points_xy, "scribble", at_least=1)), positive)


@dataclass(frozen=True)
class Line:
    """The longest diameter of an object, from one end to the other.

    Parameters
    ----------
    start, end : (x, y)
        Where the diameter meets the object's border.
    """

    start: Pair
    end: Pair

    @classmethod
    def from_xy(cls, ends_xy: ArrayLike) -> Self:
        """Make a diameter of its two ends (2, 2).

        Raises
        ------
        InputError
            If there are not two ends, or they are not finite.
        """
        ends = check_path(ends_xy, "line", at_least=2)
        if len(ends) != 2:
            message = f"the line has {len(ends)} points; expected two: the ends of a diameter."
            raise InputError(message)
        return cls(*_pairs(ends))


@dataclass(frozen=True)
class Outline:
    """The border of an object; its last point is joined to the first.

    Parameters
    ----------
    vertices : tuple of (x, y)
        At least three. Where it crosses itself, the even-odd rule tells inside from outside.
    """

    vertices: tuple[Pair, ...]

    @classmethod
    def from_xy(cls, vertices_xy: ArrayLike) -> Self:
        """Make an outline of vertices (N, 2).

        Raises
        ------
        InputError
            If there are fewer than three, or they are not finite.
        """
        return cls(_pairs(check_path(vertices_xy, "outline", at_least=3)))


def check_path(points_xy: ArrayLike, what: str, *, at_least: int) -> NDArray[np.float64]:
    """Return points (N, 2) as floats.

    Raises
    ------
    InputError
        If the points are not of that shape, not finite, or fewer than `at_least`.
    """
    try:
        points = np.asarray(points_xy, float)
    except (TypeError, ValueError) as error:
        message = f"the {what} is no path ({error}); expected points (N, 2) of numbers (x, y)."
        raise InputError(message) from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < at_least:
        message = (
            f"the {what}'s shape is {points.shape}; expected (N, 2) with at least {at_least} "
            f"point{'s' if at_least > 1 else ''} (x, y)."
        )
        raise InputError(message)
    if not np.isfinite(points).all():
        message = f"the {what} has coordinates that are not finite; draw it again."
        raise InputError(message)
    return points


def _pairs(points_xy: NDArray[np.float64]) -> tuple[Pair, ...]:
    return tuple((float(x), float(y)) for x, y in points_xy)

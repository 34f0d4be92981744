"""Measures of how well a mask agrees with the truth, on slices and volumes, and the list of them.

Empty masks: where only one of the two is empty, an overlap is 0: the object was missed, or there
is none. Where both are, there is nothing to measure, and the value is NaN: such a case is left out
of means, and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import InputError
from napari_samri.plugins import NamedRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    BoolArray = NDArray[np.bool_]
    Measure = Callable[[BoolArray, BoolArray, Sequence[float]], float]


def dice(mask: ArrayLike, truth: ArrayLike, spacing_mm: Sequence[float] = ()) -> float:
    """Return the Dice coefficient of two masks, 2 |A and B| / (|A| + |B|).

    Parameters
    ----------
    mask, truth : bool array (rows, columns) or (slices, rows, columns)
        Of equal shapes.
    spacing_mm : sequence of float
        As metrics have it; an overlap of equal pixels does not depend on it.

    Returns
    -------
    float
        0 to 1; NaN if both masks are empty.

    Raises
    ------
    InputError
        If the shapes differ.

    References
    ----------
    Dice, Measures of the amount of ecologic association between species, 1945,
    https://doi.org/10.2307/1932409
    """
    both, one, other = _counts(mask, truth)
    return 2 * both / (one + other) if one + other else math.nan


def iou(mask: ArrayLike, truth: ArrayLike, spacing_mm: Sequence[float] = ()) -> float:
    """Return the intersection over union of two masks, |A and B| / |A or B|.

    Parameters, result and errors are those of `dice`.

    References
    ----------
    Jaccard, The distribution of the flora in the alpine zone, 1912,
    https://doi.org/10.1111/j.1469-8137.1912.tb05611.x
    """
    both, one, other = _counts(mask, truth)
    union = one + other - both
    return both / union if union else math.nan


def _counts(mask: ArrayLike, truth: ArrayLike) -> tuple[int, int, int]:
    """Return how many pixels are in both masks, in the first, and in the second."""
    one, other = np.asarray(mask, bool), np.asarray(truth, bool)
    if one.shape != other.shape:
        message = f"the mask has the shape {one.shape}; expected the truth's, {other.shape}."
        raise InputError(message)
    both = np.count_nonzero(one & other)
    return int(both), int(np.count_nonzero(one)), int(np.count_nonzero(other))


@dataclass(frozen=True)
class Metric:
    """A measure and its name.

    Parameters
    ----------
    id : str
        Lower case, with hyphens.
    measure : callable
        Takes a mask and the truth, as bool arrays of one shape, (rows, columns) or
        (slices, rows, columns), and the spacing in mm along their axes. Returns a number; NaN
        where there is nothing to measure.
    """

    id: str
    measure: Measure


METRICS = NamedRegistry(
    "napari_samri.metrics",
    Metric,
    lambda: (Metric("dice", dice), Metric("iou", iou)),
    noun="metric",
)


def register_metric(metric: Metric) -> None:
    """Add a metric under its id.

    Raises
    ------
    InputError
        If another metric has that id.
    """
    METRICS.register(metric)


def unregister_metric(metric: Metric) -> None:
    """Remove a registered metric."""
    METRICS.unregister(metric)


def find_metric(name: str) -> Metric:
    """Return a metric by id.

    Raises
    ------
    InputError
        If there is none; the message names those that there are.
    """
    return METRICS.find(name)

"""Points along scribbles: SAM's networks know points, but no paths.

Lengths are measured in the frame that a slice is scaled to for SAM, whose longest side has 1024
pixels, so that a scribble says as much on a small slice as on a large one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import InputError
from napari_samri.geometry import flag, number, whole
from napari_samri.prompts.drawing import check_path
from napari_samri.prompts.prompt import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

FRAME = 1024
SPACING = 32.0
BUDGET = 64
MERGE = 4.0
DEGREES_PER_SAMPLE = 90.0
_ROUNDING = 1e-9  # a right angle computed as 90.00000000000001 degrees is one right angle


@dataclass(frozen=True, eq=False)
class _Path:
    """A scribble without repeated vertices.

    Parameters
    ----------
    vertices_xy : array (N, 2)
        In pixels of the slice.
    arc : array (N,)
        Way from the start to each vertex in pixels of the frame, ascending.
    bends : array (B,)
        Where along `arc` the scribble turns, the strongest turn first.
    turning : float
        Sum of all turns in degrees.
    """

    vertices_xy: Array
    arc: Array
    bends: Array
    turning: float

    @property
    def length(self) -> float:
        return float(self.arc[-1])

    @property
    def turns(self) -> int:
        """Samples that the bends are worth."""
        return math.ceil(self.turning / DEGREES_PER_SAMPLE - _ROUNDING)

    def demand(self, spacing: float) -> int:
        """Return the number of samples that say all there is to say."""
        if not self.length:
            return 1
        return max(2, math.ceil(self.length / spacing - _ROUNDING) + 1) + self.turns


def scribbles_to_points(
    strokes: Sequence[ArrayLike],
    positive: Sequence[bool],
    slice_shape: tuple[int, int],
    *,
    spacing: float = SPACING,
    budget: int = BUDGET,
    merge: float = MERGE,
) -> tuple[Point, ...]:
    """Return points on scribbles, at most `budget` of them.

    A scribble of length L asks for ``max(2, ceil(L / spacing) + 1)`` points and one more for
    each 90 degrees, begun or whole, that it turns in all. If all ask for more than the budget,
    each gets one point, then a second one, the longest first; what is left is shared by largest
    remainder in proportion to what they still lack. A scribble's points are its two ends, its
    strongest bends, and others that divide the way between these evenly; a lone point is in
    its middle.

    Parameters
    ----------
    strokes : sequence of array (N, 2)
        Paths in pixels (x, y) of the slice; a path of one point is a dot.
    positive : sequence of bool
        Whether each is on the object.
    slice_shape : tuple of int
        (H, W) of the slice; its longest side is scaled to 1024 pixels.
    spacing : float
        Way between two points in scaled pixels. The default, 32, is two of the 16-pixel cells
        that the encoder of SAM tells apart. Bends are looked for on the path simplified to
        within a quarter of it.
    budget : int
        Most points in all. The default, 64, bounds what goes into the decoder, whose training
        saw few points at a time.
    merge : float
        Points of one sign that are closer than this, in scaled pixels, become one: that of an
        end or bend rather than another, else the first. The default, 4, is one pixel of the
        decoder's logits of 256 x 256.

    Returns
    -------
    tuple of Point
        In the order of the strokes, and along each; empty without strokes. All lie on their
        stroke. Whether negative points alone are enough, `Prompt.check` says.

    Raises
    ------
    InputError
        If a stroke is no path, there are more strokes than points in the budget, or the numbers
        make no sense.

    References
    ----------
    The parameters are the defaults of micro-sam's scribble prompts
    (https://github.com/computational-cell-analytics/micro-sam).

    Ramer, "An iterative procedure for the polygonal approximation of plane curves", Computer
    Graphics and Image Processing 1(3), 1972, https://doi.org/10.1016/S0146-664X(72)80017-0
    """
    spacing, budget = number(spacing, "spacing"), whole(budget, "budget")
    merge = number(merge, "merge", finite=False)
    positive = [flag(sign, "positive") for sign in positive]
    _check(strokes, positive, spacing, budget, merge)
    scale = FRAME / max(slice_shape)
    paths = [_path(check_path(s, "scribble", at_least=1), scale, spacing / 4) for s in strokes]
    shares = _shares([p.demand(spacing) for p in paths], [p.length for p in paths], budget)
    samples, ranks, signs = [], [], []
    for path, share, sign in zip(paths, shares, positive, strict=True):
        places, rank = _places(path, share)
        samples.append(_at(path, places))
        ranks.append(rank)
        signs.append(np.full(share, sign, bool))
    if not samples:
        return ()
    points, labels = np.concatenate(samples), np.concatenate(signs)
    kept = _apart(points * scale, np.concatenate(ranks), labels, merge)
    return tuple(Point(float(points[i, 0]), float(points[i, 1]), bool(labels[i])) for i in kept)


def _check(
    strokes: Sequence[ArrayLike],
    positive: Sequence[bool],
    spacing: float,
    budget: int,
    merge: float,
) -> None:
    if len(strokes) != len(positive):
        message = (
            f"there are {len(strokes)} scribbles, but {len(positive)} signs; expected as many."
        )
        raise InputError(message)
    if not (spacing > 0 and merge >= 0 and math.isfinite(spacing)):
        message = f"spacing is {spacing} and merge is {merge}; expected > 0 and >= 0 pixels."
        raise InputError(message)
    if len(strokes) > budget:
        message = (
            f"there are {len(strokes)} scribbles on this slice; expected at most {budget}, one "
            "point for each. Erase some, or join them."
        )
        raise InputError(message)


def _path(points_xy: Array, scale: float, tolerance: float) -> _Path:
    """Measure a scribble (N, 2) whose slice is scaled; bends are those beyond a tolerance."""
    steps = np.hypot(*(np.diff(points_xy, axis=0) * scale).T)
    new = np.concatenate([[True], steps > 0])
    vertices = points_xy[new]
    arc = np.concatenate([[0.0], np.cumsum(steps[new[1:]])])
    corners = _corners(vertices * scale, tolerance)
    degrees = _turns(vertices[corners])
    strongest = np.argsort(-degrees, kind="stable")
    return _Path(vertices, arc, arc[corners[1:-1]][strongest], float(degrees.sum()))


def _corners(points: Array, tolerance: float) -> NDArray[np.intp]:
    """Return the indices of the vertices that keep a path (N, 2) within a tolerance."""
    if len(points) < 3:
        return np.arange(len(points))
    from skimage.measure import approximate_polygon

    places: dict[tuple[float, ...], list[int]] = {}
    for index in range(len(points) - 1, -1, -1):
        places.setdefault(tuple(points[index].tolist()), []).append(index)
    corners, start = [], 0
    for corner in approximate_polygon(points, tolerance).tolist():
        # A path may pass a vertex twice: the next passage is as good as any, the place is one.
        passages = places[tuple(corner)]
        while len(passages) > 1 and passages[-1] < start:
            passages.pop()
        corners.append(passages[-1])
        start = passages[-1] + 1
    return np.array([*corners[:-1], len(points) - 1])


def _turns(corners: Array) -> Array:
    """Return the angle in degrees, 0 to 180, by which a path (C, 2) turns at each inner corner."""
    before, after = np.diff(corners, axis=0)[:-1], np.diff(corners, axis=0)[1:]
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.degrees(np.abs(np.arctan2(cross, (before * after).sum(axis=1))))


def _shares(demands: Sequence[int], lengths: Sequence[float], budget: int) -> list[int]:
    """Return how many samples each scribble gets: at least one, at most what it asks for."""
    if sum(demands) <= budget:
        return list(demands)
    shares = [1] * len(demands)
    longest = sorted(range(len(demands)), key=lambda i: -lengths[i])
    for i in [i for i in longest if demands[i] > 1][: budget - len(demands)]:
        shares[i] = 2
    unmet = [demand - share for demand, share in zip(demands, shares, strict=True)]
    rest, total = budget - sum(shares), sum(unmet)
    whole, remainder = zip(*(divmod(rest * lack, total) for lack in unmet), strict=True)
    largest = sorted(range(len(demands)), key=lambda i: -remainder[i])
    favoured = set(largest[: rest - sum(whole)])
    return [share + whole[i] + (i in favoured) for i, share in enumerate(shares)]


def _places(path: _Path, count: int) -> tuple[Array, NDArray[np.intp]]:
    """Return where along a path its samples lie (count,), and their ranks: 0 for ends and bends."""
    if count == 1:
        return np.array([path.length / 2]), np.zeros(1, int)
    bends = path.bends[: min(count - 2, path.turns)]
    fixed = np.sort(np.concatenate([[0.0, path.length], bends]))
    gaps, parts = np.diff(fixed), np.ones(len(fixed) - 1, int)
    for _ in range(count - len(fixed)):
        parts[np.argmax(gaps / parts)] += 1
    places = [
        np.linspace(start, end, part, endpoint=False)
        for start, end, part in zip(fixed[:-1], fixed[1:], parts, strict=True)
    ]
    ranks = np.ones(count, int)
    ranks[np.concatenate([[0], np.cumsum(parts)])] = 0
    return np.concatenate([*places, fixed[-1:]]), ranks


def _at(path: _Path, places: Array) -> Array:
    """Return the points (count, 2) at places along a path."""
    return np.stack([np.interp(places, path.arc, axis) for axis in path.vertices_xy.T], axis=1)


def _apart(
    points: Array, ranks: NDArray[np.intp], labels: NDArray[np.bool_], distance: float
) -> list[int]:
    """Return the indices of points (N, 2) of which no two of one label are closer than that."""
    kept: list[int] = []
    for i in np.argsort(ranks, kind="stable").tolist():
        rivals = [k for k in kept if labels[k] == labels[i]]
        if not rivals or np.hypot(*(points[rivals] - points[i]).T).min() >= distance:
            kept.append(i)
    return sorted(kept)

"""Which slices to embed ahead of the one that is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_samri.geometry import Plane

# Of four slices ahead in the direction of scrolling, one behind.
_BEHIND_EVERY = 4


def slices_ahead(plane: Plane, last: Plane | None, size: int, count: int) -> tuple[Plane, ...]:
    """Return the neighbours of a slice that will probably be looked at next, nearest first.

    Parameters
    ----------
    plane : Plane
        Looked at now.
    last : Plane or None
        Looked at before; the difference is the direction of scrolling, forward without one.
    size : int
        Number of slices along the axis.
    count : int
        How many slices at most.
    """
    comparable = last is not None and (last.axis, last.time) == (plane.axis, plane.time)
    direction = -1 if comparable and last is not None and last.index > plane.index else 1
    ahead = list(range(plane.index + direction, size if direction > 0 else -1, direction))
    behind = list(range(plane.index - direction, -1 if direction > 0 else size, -direction))
    order: list[int] = []
    while (ahead or behind) and len(order) < count:
        turn_back = behind and (not ahead or len(order) % (_BEHIND_EVERY + 1) == _BEHIND_EVERY)
        order.append((behind if turn_back else ahead).pop(0))
    return tuple(replace(plane, index=index) for index in order)

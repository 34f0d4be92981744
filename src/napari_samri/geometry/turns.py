"""The eight ways to turn and flip a slice without interpolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TURNS = 8
_QUARTERS = 4


def turned(image: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return a slice (H, W) turned by 0 to 3 quarters against the clock, from 4 on flipped first.

    Parameters
    ----------
    image : array (H, W)
    turn : int
        0, which changes nothing, to 7. All of them differ.
    """
    flipped = image[:, ::-1] if turn >= _QUARTERS else image
    return np.ascontiguousarray(np.rot90(flipped, turn % _QUARTERS))

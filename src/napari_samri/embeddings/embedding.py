"""The embedding of one slice, and what a decoder has to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Embedding:
    """What an encoder makes of a slice.

    Parameters
    ----------
    tensor : float32 array (C, h, w)
        (256, 64, 64) for SAM; read-only.
    slice_shape : tuple of int
        (H, W) of the slice in pixels.
    encoder : str
        SHA-256 of the encoder's tensors.
    preprocessing : str
        Id of the preprocessing. A decoder fits if both are its own.
    key : str
        Under which the embedding is cached.
    """

    tensor: NDArray[np.float32]
    slice_shape: tuple[int, int]
    encoder: str
    preprocessing: str
    key: str

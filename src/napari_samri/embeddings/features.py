"""What an encoder makes of a slice, as named arrays, and where such features are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
# Float32 arrays (C, h, w) by name. SAM makes one, `IMAGE`; other encoders make several levels.
Features = Mapping[str, FloatArray]
IMAGE = "image"


def suffix_of(name: str) -> str:
    """Return what a feature adds to the names of its arrays in files: nothing for `IMAGE`."""
    return "" if name == IMAGE else f".{name}"


@dataclass(frozen=True, eq=False)
class Embedding:
    """The features of a slice, and what a decoder has to know about them.

    Parameters
    ----------
    features : mapping of str to float32 array (C, h, w)
        Read-only. SAM's are ``{"image": (256, 64, 64)}``.
    slice_shape : tuple of int
        (H, W) of the slice in pixels.
    encoder : str
        Identity of the encoder: see `napari_samri.embeddings.key.encoder_identity`.
    preprocessing : str
        Id of the preprocessing. A decoder fits if both are its own.
    key : str
        Under which the features are stored.
    """

    features: Features
    slice_shape: tuple[int, int]
    encoder: str
    preprocessing: str
    key: str


class Store(Protocol):
    """Features by content key (see `napari_samri.embeddings.key.embedding_key`)."""

    def get(self, key: str) -> Features | None:
        """Return the features of a key, read-only; None if they are not here."""

    def put(self, key: str, features: Features) -> None:
        """Keep features, as long as there is room."""


def frozen(features: Features) -> Features:
    """Make the arrays read-only, because several users share them."""
    for array in features.values():
        array.flags.writeable = False
    return features

"""The name of an embedding: a hash of all that its numbers depend on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def embedding_key(encoder: str, preprocessing: str, image: NDArray[np.uint8]) -> str:
    """Return the key of a slice's embedding, 64 hexadecimal digits.

    Parameters
    ----------
    encoder : str
        SHA-256 of the encoder's tensors (`napari_samri.models.identity.encoder_sha256`).
    preprocessing : str
        Id of the family's preprocessing.
    image : uint8 array (H, W)
        The slice as the preprocessing takes it, after its intensities were mapped to 0..255.
    """
    pixels = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
    parts = (encoder, preprocessing, "x".join(map(str, image.shape)), pixels)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

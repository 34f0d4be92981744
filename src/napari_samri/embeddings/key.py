"""The key of a slice's features: a hash of all that their numbers depend on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encoder_identity(weights: str, backend: str = "", precision: str = "") -> str:
    """Return what an encoder is known by: its weights and, where numbers differ, how it runs.

    Parameters
    ----------
    weights : str
        SHA-256 of the encoder's tensors (`napari_samri.models.model.encoder_sha256`).
    backend, precision : str
        Empty for torch in float32, whose numbers are the reference. Others, such as
        ``openvino`` and ``int8``, have keys of their own.
    """
    return "+".join(part for part in (weights, backend, precision) if part)


def embedding_key(encoder: str, preprocessing: str, image: NDArray[np.uint8]) -> str:
    """Return the content key of a slice's features, 64 hexadecimal digits.

    Parameters
    ----------
    encoder : str
        Identity of the encoder.
    preprocessing : str
        Id of the preprocessing.
    image : uint8 array (H, W)
        The slice as the preprocessing takes it, after its intensities were mapped to 0..255.
    """
    pixels = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
    parts = (encoder, preprocessing, "x".join(map(str, image.shape)), pixels)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

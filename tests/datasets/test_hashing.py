"""Equal pictures, equal hashes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from napari_samri.datasets import image_hash, labels_hash

PIXELS = np.arange(12).reshape(3, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, ">f8", ">i4"])
def test_dtype_and_memory_order_do_not_matter(dtype):
    same = np.asfortranarray(PIXELS.astype(dtype))
    assert image_hash(same) == image_hash(PIXELS)
    assert image_hash(PIXELS[::-1][::-1]) == image_hash(PIXELS)
    assert labels_hash(PIXELS.astype(np.uint8)) == labels_hash(PIXELS.astype(np.uint16))


def test_what_is_hashed():
    """As documented, so that others can compute it."""
    content = b"3x4\0" + PIXELS.astype("<f8").tobytes()
    assert image_hash(PIXELS) == hashlib.sha256(content).hexdigest()[:16]
    content = b"3x4\0" + PIXELS.astype("<u2").tobytes()
    assert labels_hash(PIXELS) == hashlib.sha256(content).hexdigest()[:16]


def test_shape_and_values_matter():
    others = [PIXELS.reshape(4, 3), PIXELS.reshape(2, 6), PIXELS.T, PIXELS + 1, PIXELS[::-1]]
    hashes = {image_hash(each) for each in (PIXELS, *others)}
    assert len(hashes) == 6


def test_minus_zero_is_zero():
    assert image_hash(np.array([[-0.0]])) == image_hash(np.array([[0]]))

"""Which slices and labels are kept, compared with scikit-image's own measurements."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import measure

from napari_samri.datasets import Rules, image_hash, labels_hash
from napari_samri.datasets.measuring import CONSTANT, EMPTY, SMALL, SMALL_SHARE, choose_slices

EVERYTHING = Rules(min_pixels=1, min_share=0)


def picture(shape):
    return np.random.default_rng(0).normal(size=shape)


def patchy(seed, shape=(6, 9, 11)):
    """Return labels with gaps among their numbers, in patches that touch by corners too."""
    rng = np.random.default_rng(seed)
    return rng.choice([0, 0, 1, 2, 7, 300, 65535], shape).astype(np.uint16)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_regions_are_those_of_scikit_image(seed, axis):
    labels = patchy(seed)
    chosen = choose_slices(picture(labels.shape), labels, axis, EVERYTHING)
    assert [entry.index for entry in chosen.slices] == list(range(labels.shape[axis]))
    for entry in chosen.slices:
        plane = labels.take(entry.index, axis)
        expected = []
        for found in measure.regionprops(plane):
            y0, x0, y1, x1 = found.bbox
            parts = measure.label(plane == found.label, connectivity=2).max()
            expected.append((found.label, found.area, (x0, y0, x1 - 1, y1 - 1), parts))
        regions = [(r.label, r.pixels, r.box_xyxy, r.components) for r in entry.regions]
        assert regions == expected


def test_hashes_are_those_of_the_slice():
    labels, image = patchy(1), picture((6, 9, 11))
    for entry in choose_slices(image, labels, 1, EVERYTHING).slices:
        assert entry.image_hash == image_hash(image[:, entry.index])
        assert entry.labels_hash == labels_hash(labels[:, entry.index])


def test_thresholds_include_their_own_value():
    labels = np.zeros((4, 20, 20), np.uint16)
    labels[0, :10, :10] = 1  # 100 pixels
    labels[1, 0, :10] = 1  # 10, a tenth
    labels[2, 0, :9] = 1  # 9
    labels[3, 0, :10] = 2  # 10 of another label, its own largest
    chosen = choose_slices(picture(labels.shape), labels, 0, Rules(min_pixels=10, min_share=0.1))
    assert [entry.index for entry in chosen.slices] == [0, 1, 3]
    assert chosen.left_out == {SMALL: 1}
    chosen = choose_slices(picture(labels.shape), labels, 0, Rules(min_pixels=1, min_share=0.1))
    assert chosen.left_out == {SMALL_SHARE: 1}
    chosen = choose_slices(picture(labels.shape), labels, 0, Rules(min_pixels=11, min_share=0))
    assert [entry.index for entry in chosen.slices] == [0]


@pytest.mark.parametrize("largest", [30, 70, 110, 230, 390])
def test_a_tenth_is_a_tenth_for_all_sizes(largest):
    labels = np.zeros((2, 20, 20), np.uint16)
    labels[0].flat[:largest] = 1
    labels[1].flat[: largest // 10] = 1
    chosen = choose_slices(picture(labels.shape), labels, 0, Rules(min_pixels=1, min_share=0.1))
    assert len(chosen.slices) == 2


def test_a_label_that_is_left_out_does_not_take_its_slice_along():
    labels = np.zeros((1, 20, 20), np.uint16)
    labels[0, :5, :5] = 3
    labels[0, 10, 10] = 2
    (entry,) = choose_slices(picture(labels.shape), labels, 0, Rules()).slices
    assert [region.label for region in entry.regions] == [3]


def test_empty_and_constant_slices():
    labels = np.ones((3, 5, 5), np.uint16)
    labels[0] = 0
    image = picture(labels.shape)
    image[1] = 7
    chosen = choose_slices(image, labels, 0, Rules())
    assert [entry.index for entry in chosen.slices] == [2]
    assert chosen.left_out == {EMPTY: 1, CONSTANT: 1}


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

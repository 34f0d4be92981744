"""Keys depend on everything that an embedding's numbers depend on, and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_samri.embeddings import embedding_key, encoder_identity

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)
SLICES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=4))


@given(SLICES)
def test_key_is_a_function_of_values_not_of_layout(image: np.ndarray) -> None:
    key = embedding_key("e", "p", image)
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")
    assert key == embedding_key("e", "p", np.asfortranarray(image))
    assert key == embedding_key("e", "p", np.repeat(image, 2, axis=1)[:, ::2])


@given(SLICES, SLICES)
def test_different_slices_have_different_keys(one: np.ndarray, two: np.ndarray) -> None:
    equal = embedding_key("e", "p", one) == embedding_key("e", "p", two)
    assert equal == np.array_equal(one, two)


@given(st.data())
def test_one_pixel_matters(data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))
    changed = IMAGE.copy()
    changed[row, column] ^= data.draw(st.integers(1, 255))
    assert embedding_key("e", "p", changed) != embedding_key("e", "p", IMAGE)


@pytest.mark.parametrize(
    "other",
    [("f", "p", IMAGE), ("e", "q", IMAGE), ("e", "p", IMAGE.T), ("e", "p", IMAGE.reshape(2, 6))],
    ids=["encoder", "preprocessing", "transposed", "reshaped"],
)
def test_every_part_matters(other: tuple[str, str, np.ndarray]) -> None:
    assert embedding_key(*other) != embedding_key("e", "p", IMAGE)


def test_the_key_is_that_of_earlier_versions() -> None:
    """By the formula of the docs, so that caches of users stay warm."""
    pixels = hashlib.sha256(bytes(range(12))).hexdigest()
    text = "\n".join(("ab12", "none.v1", "3x4", pixels))
    assert embedding_key("ab12", "none.v1", IMAGE) == hashlib.sha256(text.encode()).hexdigest()


def test_an_encoder_is_known_by_its_weights_and_by_what_changes_its_numbers() -> None:
    assert encoder_identity("ab12") == "ab12"
    others = {("torch", "int8"), ("openvino", ""), ("openvino", "int8"), ("", "float16")}
    found = {encoder_identity("ab12", *other) for other in others}
    assert len(found | {"ab12"}) == len(others) + 1

"""The memory cache: bounded in bytes, the least recently used out first."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.embeddings.memory import MemoryCache


def floats(count: int, value: float = 0.0) -> np.ndarray:
    return np.full(count, value, np.float32)


def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(3 * floats(4).nbytes)
    for key in "abc":
        cache.put(key, floats(4))
    assert cache.get("a") is not None
    cache.put("d", floats(4))
    assert {key for key in "abcd" if cache.get(key) is not None} == {"a", "c", "d"}


def test_bytes_count_not_entries() -> None:
    cache = MemoryCache(floats(10).nbytes)
    for key in "abcde":
        cache.put(key, floats(2))
    cache.put("large", floats(8))
    assert {key for key in "abcde" if cache.get(key) is not None} == {"e"}
    assert cache.nbytes == floats(10).nbytes


def test_replacing_counts_once() -> None:
    cache = MemoryCache(floats(10).nbytes)
    for value in range(5):
        cache.put("a", floats(10, value))
    assert cache.nbytes == floats(10).nbytes
    array = cache.get("a")
    assert array is not None
    assert array[0] == 4


@pytest.mark.parametrize("already_there", [False, True])
def test_an_array_over_the_bound_is_not_kept_and_drops_no_other(already_there: bool) -> None:
    cache = MemoryCache(floats(10).nbytes)
    cache.put("a", floats(4))
    if already_there:
        cache.put("huge", floats(2))
    cache.put("huge", floats(11))
    assert cache.get("huge") is None
    assert cache.get("a") is not None
    assert cache.nbytes == floats(4).nbytes


@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 20)), max_size=40),
)
def test_like_a_plain_model(bound: int, steps: list[tuple[str, int | None]]) -> None:
    """Any run of gets (None) and puts against the plainest possible cache."""
    cache = MemoryCache(4 * bound)
    model: OrderedDict[str, int] = OrderedDict()
    for key, count in steps:
        if count is None:
            assert (cache.get(key) is not None) == (key in model)
            if key in model:
                model.move_to_end(key)
        else:
            cache.put(key, floats(count))
            model.pop(key, None)
            if count <= bound:
                model[key] = count
            while sum(model.values()) > bound:
                model.popitem(last=False)
        assert cache.nbytes == 4 * sum(model.values()) <= 4 * bound

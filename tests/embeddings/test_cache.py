"""Memory over disk, nothing computed twice at once, and entries shared by models."""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.embeddings import EmbeddingCache, default_cache, embedding_key
from napari_samri.embeddings.cache import MemoryCache
from napari_samri.segment.predictor import Predictor, load_predictor
from tests.tiny import install_tiny, tiny_tensors, with_other_decoder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings import Features

KEY = embedding_key("encoder", "preprocessing", np.zeros((2, 2), np.uint8))
OTHER = embedding_key("encoder", "preprocessing", np.ones((2, 2), np.uint8))


def make_array(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(4, 8, 8)).astype(np.float32)


def make(seed: int = 0) -> Features:
    return {"image": make_array(seed)}


class Computing:
    """A computation that counts its calls."""

    def __init__(self, seed: int = 0) -> None:
        self.calls = 0
        self.seed = seed

    def __call__(self) -> Features:
        self.calls += 1
        return make(self.seed)


def test_memory_gives_back_what_was_computed() -> None:
    cache, compute = EmbeddingCache(), Computing()
    first = cache.get_or_compute(KEY, compute)
    assert cache.get_or_compute(KEY, compute) is first
    assert cache.get(KEY) is first
    assert cache.get(OTHER) is None
    assert compute.calls == 1
    np.testing.assert_array_equal(first["image"], make_array())


def test_disk_gives_back_what_another_process_computed(tmp_path: Path) -> None:
    compute = Computing()
    EmbeddingCache(tmp_path).get_or_compute(KEY, compute)
    later = EmbeddingCache(str(tmp_path))
    array = later.get_or_compute(KEY, compute)
    assert compute.calls == 1
    np.testing.assert_array_equal(array["image"], make_array().astype(np.float16))
    assert later.get(KEY) is array, "the second time it comes from memory"


@pytest.mark.parametrize("origin", ["computed", "disk"])
def test_nobody_can_change_what_others_get(tmp_path: Path, origin: str) -> None:
    cache = EmbeddingCache(tmp_path)
    array = cache.get_or_compute(KEY, Computing())
    if origin == "disk":
        array = EmbeddingCache(tmp_path).get_or_compute(KEY, Computing())
    with pytest.raises(ValueError, match="read-only"):
        array["image"][0, 0, 0] = 0


def test_what_memory_dropped_comes_from_disk(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, memory_bytes=make_array().nbytes)
    one, two = Computing(1), Computing(2)
    for _ in range(3):
        cache.get_or_compute(KEY, one)
        cache.get_or_compute(OTHER, two)
        assert cache.memory.nbytes <= make_array().nbytes
    assert (one.calls, two.calls) == (1, 1)


@pytest.mark.parametrize("damage", ["torn", "flipped", "foreign", "of another key"])
def test_a_bad_file_is_computed_anew_and_mended(tmp_path: Path, damage: str) -> None:
    first = EmbeddingCache(tmp_path)
    first.get_or_compute(KEY, Computing(1))
    first.get_or_compute(OTHER, Computing(2))
    assert first.disk is not None
    path = first.disk.path(KEY)
    content = path.read_bytes()
    bad = {
        "torn": content[: len(content) // 2],
        "flipped": content[:-1] + bytes([content[-1] ^ 1]),
        "foreign": b"<html>",
        "of another key": first.disk.path(OTHER).read_bytes(),
    }
    path.write_bytes(bad[damage])
    compute = Computing(1)
    array = EmbeddingCache(tmp_path).get_or_compute(KEY, compute)
    assert compute.calls == 1
    np.testing.assert_array_equal(array["image"], make_array(1))
    again = EmbeddingCache(tmp_path).get_or_compute(KEY, compute)
    assert compute.calls == 1, "the mended file is used again"
    np.testing.assert_array_equal(again["image"], make_array(1).astype(np.float16))


@pytest.mark.parametrize("on_disk", [False, True])
def test_threads_that_ask_for_one_key_compute_once(tmp_path: Path, on_disk: bool) -> None:
    cache = EmbeddingCache(tmp_path if on_disk else None)
    barrier, started, release = Barrier(4), Event(), Event()
    calls = []

    def compute() -> Features:
        calls.append(1)
        started.set()
        assert release.wait(10)
        return make()

    def ask() -> Features:
        barrier.wait(10)
        return cache.get_or_compute(KEY, compute)

    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(ask) for _ in range(4)]
        assert started.wait(10)
        release.set()
        arrays = [answer.result(10) for answer in answers]
    assert len(calls) == 1
    assert all(array is arrays[0] for array in arrays)


def test_threads_that_ask_for_different_keys_do_not_wait() -> None:
    cache = EmbeddingCache()
    barrier = Barrier(2)

    def compute() -> Features:
        barrier.wait(10)  # passes only if both computations run at once
        return make()

    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(cache.get_or_compute, key, compute) for key in (KEY, OTHER)]
        for answer in answers:
            np.testing.assert_array_equal(answer.result(10)["image"], make_array())


class ComputationError(Exception):
    """What a computation of this test raises."""


def failing() -> Features:
    raise ComputationError


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_failure_leaves_the_cache_usable(tmp_path: Path, on_disk: bool) -> None:
    cache = EmbeddingCache(tmp_path if on_disk else None)
    for _ in range(2):
        with pytest.raises(ComputationError):
            cache.get_or_compute(KEY, failing)
    assert cache.get(KEY) is None
    compute = Computing()
    cache.get_or_compute(KEY, compute)
    cache.get_or_compute(KEY, compute)
    assert compute.calls == 1


def test_after_a_failure_those_who_wait_and_those_who_come_compute_once() -> None:
    """The one who comes later must wait for the one that took over, not start beside it."""
    cache = EmbeddingCache()
    first_started, let_first_fail = Event(), Event()
    second_started, let_second_end = Event(), Event()
    calls = []

    def first() -> Features:
        first_started.set()
        assert let_first_fail.wait(10)
        raise ComputationError

    def second() -> Features:
        calls.append("second")
        second_started.set()
        assert let_second_end.wait(10)
        return make()

    def third() -> Features:
        calls.append("third")
        return make()

    with ThreadPoolExecutor(3) as threads:
        fails = threads.submit(cache.get_or_compute, KEY, first)
        assert first_started.wait(10)
        waits = threads.submit(cache.get_or_compute, KEY, second)
        # There is no event for a thread that waits on a lock: it either does by now, or
        # starts after the failure, which must work as well.
        Event().wait(0.1)
        let_first_fail.set()
        with pytest.raises(ComputationError):
            fails.result(10)
        assert second_started.wait(10)
        comes = threads.submit(cache.get_or_compute, KEY, third)
        Event().wait(0.1)
        let_second_end.set()
        assert comes.result(10) is waits.result(10)
    assert calls == ["second"]


def test_an_unwritable_folder_still_works_from_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle = tmp_path / "cache"
    obstacle.write_text("in the way")
    cache = EmbeddingCache(obstacle)
    one, two = Computing(1), Computing(2)
    for _ in range(3):
        np.testing.assert_array_equal(cache.get_or_compute(KEY, one)["image"], make_array(1))
        np.testing.assert_array_equal(cache.get_or_compute(OTHER, two)["image"], make_array(2))
    assert (one.calls, two.calls) == (1, 1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_the_default_cache_is_one_per_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAMRI_CACHE", str(tmp_path / "a"))
    one = default_cache()
    assert default_cache() is one
    assert one.disk is not None
    assert one.disk.folder == tmp_path / "a"
    assert not one.disk.folder.exists()
    monkeypatch.setenv("NAPARI_SAMRI_CACHE", str(tmp_path / "b"))
    assert default_cache() is not one


# Models: who shares entries with whom.

SLICE = np.random.default_rng(5).integers(0, 255, (48, 40)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of checkpoints: a model, its tuned decoder, and one encoder changed."""
    install_tiny(monkeypatch)
    tensors = tiny_tensors()
    torch.save(tensors, tmp_path / "plain.pth")
    torch.save(with_other_decoder(tensors), tmp_path / "tuned.pth")
    changed = {name: value.clone() for name, value in tensors.items()}
    changed["image_encoder.neck.0.weight"].view(-1)[0] += 1e-3
    torch.save(changed, tmp_path / "other_encoder.pth")
    return tmp_path


def counted(folder: Path, name: str, family: str, cache: EmbeddingCache) -> tuple[Predictor, list]:
    """Load a predictor whose encoder counts its calls."""
    predictor = load_predictor(folder / name, "cpu", cache, family=family)
    calls: list[int] = []
    network = predictor._model.network
    encode = network.encode

    def counting(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return encode(*arguments, **options)

    network.encode = counting
    return predictor, calls


def test_tuned_decoders_share_the_embeddings_of_their_encoder(folder: Path) -> None:
    cache = EmbeddingCache(folder / "cache")
    sam, sam_calls = counted(folder, "plain.pth", "sam", cache)
    tuned, tuned_calls = counted(folder, "tuned.pth", "sam", cache)
    box = np.array([5, 5, 30, 30])
    one, two = sam.embed(SLICE), tuned.embed(SLICE)
    assert (len(sam_calls), len(tuned_calls)) == (1, 0)
    assert one.key == two.key
    assert two.features is one.features
    logits = [p.predict(one, box_xyxy=box).logits for p in (sam, tuned)]
    assert not np.array_equal(*logits), "it is another decoder"
    again, again_calls = counted(folder, "tuned.pth", "sam", EmbeddingCache(folder / "cache"))
    again.embed(SLICE)
    assert again_calls == [], "another process finds it on disk"


@pytest.mark.parametrize(
    ("name", "family"), [("plain.pth", "medsam"), ("other_encoder.pth", "sam")]
)
def test_other_preprocessing_and_other_encoders_do_not_share(
    folder: Path, name: str, family: str
) -> None:
    cache = EmbeddingCache(folder / "cache")
    sam, _ = counted(folder, "plain.pth", "sam", cache)
    other, calls = counted(folder, name, family, cache)
    assert sam.embed(SLICE).key != other.embed(SLICE).key
    assert len(calls) == 1
    other.embed(SLICE)
    assert len(calls) == 1


def test_intensities_that_give_the_same_input_share(folder: Path) -> None:
    predictor, calls = counted(folder, "plain.pth", "sam", EmbeddingCache())
    predictor.embed(SLICE)
    predictor.embed(SLICE.astype(np.float64) * 4 - 100)
    assert len(calls) == 1
    changed = SLICE.copy()
    changed[3, 3] ^= 1
    predictor.embed(changed)
    assert len(calls) == 2


# Memory: bounded in bytes, the least recently used out first.


def floats(count: int, value: float = 0.0) -> Features:
    """Return two features of `count` numbers in all."""
    array = np.full(count, value, np.float32)
    return {"image": array[: count // 2], "high": array[count // 2 :]}


def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(3 * 16)
    for key in "abc":
        cache.put(key, floats(4))
    assert cache.get("a") is not None
    cache.put("d", floats(4))
    assert {key for key in "abcd" if cache.get(key) is not None} == {"a", "c", "d"}


def test_bytes_count_not_entries() -> None:
    cache = MemoryCache(40)
    for key in "abcde":
        cache.put(key, floats(2))
    cache.put("large", floats(8))
    assert {key for key in "abcde" if cache.get(key) is not None} == {"e"}
    assert cache.nbytes == 40


def test_replacing_counts_once() -> None:
    cache = MemoryCache(40)
    for value in range(5):
        cache.put("a", floats(10, value))
    assert cache.nbytes == 40
    found = cache.get("a")
    assert found is not None
    assert found["image"][0] == 4


@pytest.mark.parametrize("already_there", [False, True])
def test_an_array_over_the_bound_is_not_kept_and_drops_no_other(already_there: bool) -> None:
    cache = MemoryCache(40)
    cache.put("a", floats(4))
    if already_there:
        cache.put("huge", floats(2))
    cache.put("huge", floats(11))
    assert cache.get("huge") is None
    assert cache.get("a") is not None
    assert cache.nbytes == 16


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

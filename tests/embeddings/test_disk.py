"""The disk cache: what it gives back is what was put in, or nothing."""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.atomic import replacing
from napari_samri.embeddings import disk as disk_module
from napari_samri.embeddings import embedding_key
from napari_samri.embeddings.disk import DiskCache

if TYPE_CHECKING:
    from pathlib import Path

FLOAT16_RELATIVE = 2.0**-11  # half of the spacing of fp16 numbers next to 1


def key_of(number: int) -> str:
    return embedding_key("encoder", "preprocessing", np.array([[number]], np.uint8))


def make_array(seed: int, shape: tuple[int, ...] = (2, 4, 4)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class ImageCache(DiskCache):
    """A cache of encoders with one feature."""

    def get(self, key: str) -> np.ndarray | None:
        found = super().get(key)
        return None if found is None else found["image"]

    def put(self, key: str, array: np.ndarray) -> None:
        super().put(key, {"image": array})


KEY, OTHER = key_of(1), key_of(2)
ARRAY = make_array(1)


@pytest.fixture
def disk(tmp_path: Path) -> DiskCache:
    return ImageCache(tmp_path / "cache", 1 << 20)


EARLIER = (
    b'\x00\x01\x00\x00\x00\x00\x00\x00{"__metadata__":{"version":"1","key":"76bd953fe2fa815a5167890c6511'
    b'af315380102bf48c8a272395ca56be1fe4a3","array":"float16 (2, 2, 2)","crc32":"3953954557","forma'
    b't":"napari-samri-embedding"},"embedding":{"dtype":"F16","shape":[2,2,2],"data_offsets":[0,16]'
    b"}}  \x00\x00\x00<\x00@\x00B\x00D\x00E\x00F\x00G"
)


def test_a_file_of_an_earlier_version_still_counts(tmp_path: Path) -> None:
    """It was written when features had no names, under the key that the slice has today."""
    cache = DiskCache(tmp_path, 1 << 20)
    path = cache.path(KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(EARLIER)
    found = cache.get(KEY)
    assert found is not None
    assert list(found) == ["image"]
    np.testing.assert_array_equal(found["image"], np.arange(8).reshape(2, 2, 2))


LEVELS = {"image": make_array(1), "high.2": make_array(2, (3, 8, 8)), "high.4": make_array(3)}


def test_several_features_come_back_by_name(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1 << 20)
    cache.put(KEY, LEVELS)
    found = cache.get(KEY)
    assert found is not None
    assert found.keys() == LEVELS.keys()
    for name, array in LEVELS.items():
        np.testing.assert_array_equal(found[name], array.astype(np.float16))
    cache.drop(KEY)
    cache.drop(KEY)
    assert cache.get(KEY) is None


def test_features_that_changed_places_are_found(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1 << 20)
    cache.put(KEY, LEVELS)
    content = cache.path(KEY).read_bytes()
    renamed = content.replace(b'"embedding.high.4"', b'"embedding.high.5"')
    assert len(renamed) == len(content) != renamed.count(b"high.5")
    cache.path(KEY).write_bytes(renamed)
    assert cache.get(KEY) is None


@pytest.mark.parametrize("axes", [(1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_order_in_memory_does_not_matter(disk: DiskCache, axes: tuple[int, ...]) -> None:
    """As of networks that compute with their channels last."""
    array = make_array(4, (2, 3, 5)).transpose(axes)
    disk.put(KEY, array)
    np.testing.assert_array_equal(disk.get(KEY), array.astype(np.float16))


def stored_bytes(cache: DiskCache) -> int:
    return sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())


def files(cache: DiskCache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def set_age(cache: DiskCache, key: str, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(cache.path(key), (moment, moment))


@pytest.mark.parametrize("scale", [1e-2, 1.0, 100.0, 6e4 / 5])
def test_round_trip_through_half_precision(disk: DiskCache, scale: float) -> None:
    array = np.clip(make_array(0, (256, 8, 8)), -5, 5) * np.float32(scale)
    disk.put(KEY, array)
    back = disk.get(KEY)
    assert back is not None
    assert back.dtype == np.float32
    normal = np.abs(array) >= np.finfo(np.float16).smallest_normal
    assert normal.mean() > 0.9
    error = np.abs(back - array)[normal] / np.abs(array)[normal]
    assert error.max() <= FLOAT16_RELATIVE
    assert np.linalg.norm(back - array) / np.linalg.norm(array) < 3e-4


def test_a_missing_key_is_none_without_a_word(
    disk: DiskCache, caplog: pytest.LogCaptureFixture
) -> None:
    assert disk.get(KEY) is None
    assert not disk.folder.exists(), "reading must not make the folder"
    disk.put(KEY, ARRAY)
    assert disk.get(OTHER) is None
    assert not caplog.records


@pytest.mark.parametrize("value", [1e6, np.inf, np.nan])
def test_values_beyond_half_precision_are_not_kept(disk: DiskCache, value: float) -> None:
    array = ARRAY.copy()
    array[0, 0, 0] = value
    disk.put(KEY, array)
    assert disk.get(KEY) is None


def whole_file(disk: DiskCache) -> bytes:
    disk.put(KEY, ARRAY)
    return disk.path(KEY).read_bytes()


def expect_repair(disk: DiskCache) -> None:
    """The bad file counts as missing, and the next write mends it."""
    assert disk.get(KEY) is None
    disk.put(KEY, ARRAY)
    back = disk.get(KEY)
    assert back is not None
    np.testing.assert_array_equal(back, ARRAY.astype(np.float16))


def test_a_file_torn_at_any_length_counts_as_missing(disk: DiskCache) -> None:
    content = whole_file(disk)
    for length in range(len(content)):
        disk.path(KEY).write_bytes(content[:length])
        assert disk.get(KEY) is None, f"cut to {length} of {len(content)} bytes"
    expect_repair(disk)


@pytest.mark.parametrize("flip", [0x01, 0x0F, 0x80, 0xFF])
def test_a_flipped_byte_never_changes_the_numbers(disk: DiskCache, flip: int) -> None:
    content = whole_file(disk)
    expected = ARRAY.astype(np.float16)
    harmless = 0
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= flip
        disk.path(KEY).write_bytes(changed)
        array = disk.get(KEY)
        if array is not None:
            harmless += 1
            np.testing.assert_array_equal(array, expected, err_msg=f"byte {position}")
    # Only bytes of the padding after the JSON header may change without harm.
    assert harmless < 8
    disk.path(KEY).write_bytes(content[:-1] + bytes([content[-1] ^ flip]))
    expect_repair(disk)


def test_the_same_bytes_as_another_type_are_found(disk: DiskCache) -> None:
    """Data and checksum fit, but 16-bit integers are not the numbers that were put in."""
    content = whole_file(disk)
    assert content.count(b'"F16"') == 1
    for dtype in (b'"I16"', b'"U16"'):
        disk.path(KEY).write_bytes(content.replace(b'"F16"', dtype))
        assert disk.get(KEY) is None
    expect_repair(disk)


def test_the_same_bytes_in_another_shape_are_found(disk: DiskCache) -> None:
    content = whole_file(disk)
    assert content.count(b"[2,4,4]") == 1
    disk.path(KEY).write_bytes(content.replace(b"[2,4,4]", b"[4,4,2]"))
    assert disk.get(KEY) is None


def test_a_file_of_another_key_is_found(disk: DiskCache, caplog: pytest.LogCaptureFixture) -> None:
    disk.put(OTHER, make_array(2))
    disk.path(KEY).parent.mkdir(parents=True, exist_ok=True)
    disk.path(KEY).write_bytes(disk.path(OTHER).read_bytes())
    expect_repair(disk)
    assert "foreign" in caplog.text
    other = disk.get(OTHER)
    assert other is not None
    np.testing.assert_array_equal(other, make_array(2).astype(np.float16))


def safetensors_bytes(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, count: int, size: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [count], "data_offsets": [0, size]}


FOREIGN = {
    "empty": b"",
    "text": b"<!DOCTYPE html><html>not an embedding</html>",
    "zeros": bytes(1000),
    "huge header": struct.pack("<Q", 1 << 62) + b"{}",
    "no metadata": safetensors_bytes({"embedding": entry("F16", 2, 4)}, bytes(4)),
    "another name": safetensors_bytes({"weights": entry("F16", 2, 4)}, bytes(4)),
    "bfloat16": safetensors_bytes({"embedding": entry("BF16", 2, 4)}, bytes(4)),
    "float8": safetensors_bytes({"embedding": entry("F8_E4M3", 2, 2)}, bytes(2)),
    "complex": safetensors_bytes({"embedding": entry("C64", 1, 8)}, bytes(8)),
    "another format": safetensors_bytes(
        {"__metadata__": {"format": "pt"}, "embedding": entry("F16", 2, 4)}, bytes(4)
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_under_our_name(
    disk: DiskCache, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk.path(KEY).parent.mkdir(parents=True)
    disk.path(KEY).write_bytes(FOREIGN[name])
    expect_repair(disk)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(disk.path(KEY)) in caplog.text


def test_a_file_of_another_version_counts_as_missing(
    disk: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as future:
        future.setattr(disk_module, "VERSION", disk_module.VERSION + "0")
        disk.put(KEY, ARRAY)
    expect_repair(disk)


def test_a_folder_under_our_name_is_survived(
    disk: DiskCache, caplog: pytest.LogCaptureFixture
) -> None:
    disk.path(KEY).mkdir(parents=True)
    assert disk.get(KEY) is None
    disk.put(KEY, ARRAY)
    assert "cannot be kept" in caplog.text
    assert [path for path in files(disk) if path.suffix == ".part"] == []


def test_real_bytes_stay_bounded(tmp_path: Path) -> None:
    one = ImageCache(tmp_path / "one", 1 << 20)
    one.put(KEY, ARRAY)
    bound = int(stored_bytes(one) * 5.5)
    cache = ImageCache(tmp_path / "cache", bound)
    for number in range(40):
        cache.put(key_of(number), make_array(number))
        assert 0 < stored_bytes(cache) <= bound
    assert len(files(cache)) >= 4, "room is made, the cache is not emptied"


def test_the_least_recently_used_file_goes_first(tmp_path: Path) -> None:
    one = ImageCache(tmp_path / "one", 1 << 20)
    one.put(KEY, ARRAY)
    cache = ImageCache(tmp_path / "cache", int(stored_bytes(one) * 3.5))
    for number, age in ((1, 30), (2, 20), (3, 10)):
        cache.put(key_of(number), make_array(number))
        set_age(cache, key_of(number), age)
    assert cache.get(key_of(1)) is not None, "reading marks it as just used"
    cache.put(key_of(4), make_array(4))
    assert {n for n in (1, 2, 3, 4) if cache.get(key_of(n)) is not None} == {1, 3, 4}


def test_what_was_there_before_counts(tmp_path: Path) -> None:
    earlier = ImageCache(tmp_path, 1 << 20)
    for number in range(10):
        earlier.put(key_of(number), make_array(number))
        set_age(earlier, key_of(number), 100 - number)
    size = stored_bytes(earlier) // 10
    later = ImageCache(tmp_path, size * 5)
    later.put(key_of(10), make_array(10))
    assert stored_bytes(later) <= size * 5
    assert later.get(key_of(10)) is not None
    assert later.get(key_of(0)) is None


def test_two_caches_on_one_folder_stay_bounded(tmp_path: Path) -> None:
    """As two processes would: each has to notice what the other writes."""
    one = ImageCache(tmp_path / "one", 1 << 20)
    one.put(KEY, ARRAY)
    size = stored_bytes(one)
    caches = [ImageCache(tmp_path / "cache", size * 20) for _ in range(2)]
    for number in range(120):
        caches[number % 2].put(key_of(number), make_array(number))
    share = 1 - disk_module.KEEP_SHARE
    assert stored_bytes(caches[0]) <= size * 20 * (1 + 2 * share)


def test_a_file_over_the_bound_is_not_kept_and_drops_no_other(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 2000)
    cache.put(KEY, ARRAY)
    cache.put(OTHER, make_array(2, (10, 10, 10)))
    assert cache.get(OTHER) is None
    assert cache.get(KEY) is not None
    tight = ImageCache(tmp_path / "tight", ARRAY.size * 2 + 1)
    tight.put(KEY, ARRAY)
    assert files(tight) == [], "the header counts, too"


def test_temporary_files_of_killed_processes_go(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1 << 20)
    folder = cache.path(KEY).parent
    folder.mkdir(parents=True)
    with replacing(folder / "other.safetensors") as recent:
        token = recent.name.split(".")[-3]
        stale = recent.with_name(recent.name.replace(token, f"{'0' * 12}-{'0' * 6}"))
        for path in (stale, recent):
            path.write_bytes(b"half an embedding")
        moment = time.time() - 2 * 86400.0
        os.utime(stale, (moment, moment))
        cache.put(KEY, ARRAY)
        assert not stale.exists()
        assert recent.exists(), "it belongs to a process that is writing it"


def test_temporary_files_do_not_stay(disk: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    disk.put(OTHER, ARRAY)
    with monkeypatch.context() as full:
        full.setattr("pathlib.Path.replace", refuse)
        disk.put(KEY, ARRAY)
    assert disk.get(KEY) is None
    assert files(disk) == [disk.path(OTHER)]


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_an_unwritable_folder_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, inside: str
) -> None:
    obstacle = tmp_path / "cache"
    obstacle.write_text("in the way")
    cache = ImageCache(obstacle / inside, 1 << 20)
    for number in range(3):
        assert cache.get(key_of(number)) is None
        cache.put(key_of(number), make_array(number))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(obstacle) in caplog.text
    assert obstacle.read_text() == "in the way"


WRITER = """
import sys
from pathlib import Path
import numpy as np
from napari_samri.embeddings.disk import DiskCache
cache, key = DiskCache(Path(sys.argv[1]), 1 << 20), sys.argv[2]
array = np.random.default_rng(1).normal(size=(2, 4, 4)).astype(np.float32)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(300):
    cache.put(key, {"image": array})
    back = cache.get(key)
    assert back is not None and np.array_equal(back["image"], array.astype(np.float16)), back
"""


def test_two_processes_write_one_key(disk: DiskCache) -> None:
    command = [sys.executable, "-c", WRITER, str(disk.folder), KEY]
    writers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "ready"
    assert writers[0].stdin is not None
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
        assert not errors, "a reader must never meet a half-written file"
    back = disk.get(KEY)
    assert back is not None
    np.testing.assert_array_equal(back, ARRAY.astype(np.float16))
    assert files(disk) == [disk.path(KEY)]

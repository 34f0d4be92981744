"""Frames: whatever goes in comes out, and whatever is not a whole frame is refused."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_samri.errors import StoreError
from napari_samri.jobs.wire import MAGIC, Message, encode_message, read_message, write_message

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_HEADS = st.dictionaries(st.text().filter(lambda name: name != "arrays"), _JSON, max_size=4)
_DTYPES = st.one_of(
    st.just(np.dtype(bool)),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
)
_ARRAYS = st.dictionaries(
    st.text(),
    hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    max_size=3,
)


def _there_and_back(message: Message) -> Message:
    read = read_message(io.BytesIO(encode_message(message)))
    assert read is not None
    return read


def _framed(head: bytes, body: bytes = b"") -> bytes:
    """Return a frame with a good checksum, whatever its contents."""
    checksum = zlib.crc32(body, zlib.crc32(head))
    return struct.pack("<4sIQI", MAGIC, len(head), len(body), checksum) + head + body


@given(_HEADS, _ARRAYS)
def test_messages_come_out_as_they_went_in(head: dict, arrays: dict) -> None:
    read = _there_and_back(Message(head, arrays))
    assert read.head == head
    assert read.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read.arrays[name].dtype == array.dtype
        assert read.arrays[name].shape == array.shape
        assert read.arrays[name].tobytes() == array.tobytes()
        assert not read.arrays[name].flags.writeable


def test_arrays_that_are_no_single_block_keep_their_order() -> None:
    array = np.arange(24).reshape(2, 3, 4)[:, ::-1].T
    read = _there_and_back(Message({}, {"a": array, "b": np.asfortranarray(array)}))
    np.testing.assert_array_equal(read.arrays["a"], array)
    np.testing.assert_array_equal(read.arrays["b"], array)


def test_scalars_of_numpy_become_plain_numbers() -> None:
    head = {"n": np.int64(3), "x": [np.float32(0.5)], "on": np.bool_(True)}
    assert _there_and_back(Message(head)).head == {"n": 3, "x": [0.5], "on": True}


def test_several_messages_in_a_stream() -> None:
    stream = io.BytesIO()
    for number in range(3):
        write_message(stream, Message({"n": number}, {"a": np.full(number, number)}))
    stream.seek(0)
    assert [read_message(stream).head["n"] for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
    assert read_message(stream) is None


@given(st.data())
def test_torn_frames_are_refused(data: st.DataObject) -> None:
    frame = encode_message(Message({"a": "text"}, {"x": np.arange(5)}))
    end = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(StoreError):
        read_message(io.BytesIO(frame[:end]))


@given(st.data())
def test_altered_frames_are_refused(data: st.DataObject) -> None:
    """Also where a length was altered, to one that no memory holds."""
    frame = bytearray(encode_message(Message({"a": "text"}, {"x": np.arange(5)})))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreError):
        read_message(io.BytesIO(bytes(frame)))


@pytest.mark.parametrize("content", [b"\x80\x04K*.", b"hello, world, this is text", b"SMRI"])
def test_foreign_streams_are_refused(content: bytes) -> None:
    with pytest.raises(StoreError):
        read_message(io.BytesIO(content))


@pytest.mark.parametrize(
    "head",
    [
        b"not json",
        b"[1, 2]",
        b"{}",
        b'{"arrays": 3}',
        b'{"arrays": [["a", "|O", [1]]]}',
        b'{"arrays": [["a", "<U4", [1]]]}',
        b'{"arrays": [["a", "no dtype", [1]]]}',
        b'{"arrays": [["a", "<i8", [-1]]]}',
        b'{"arrays": [["a", "<i8", [1000000]]]}',
        b'{"arrays": [["a", "<i8", [1.5]]]}',
        b'{"arrays": [["a", "<i8", [1000000, 1000000, 1000000, 1000000]]]}',
        b'{"arrays": [["a", "|u1", [9]]]}',
        b'{"arrays": [["a", "|u1", [11]]]}',
        b'{"arrays": [["a", "|u1", [10, 9007199254740993]]]}',
        b'{"arrays": [["a", "|u1", [10]], ["b", "<f8", [0, 9007199254740992, 9007199254740992]]]}',
        b'{"arrays": [["a", "|V10", [1]]]}',
        b'{"arrays": [["a", "(", [10]]]}',
        b'{"arrays": [["a", "<i3", [10]]]}',
        b'{"arrays": [["a", "|u1"]]}',
        b'{"arrays": [[1, "|u1", [10]]]}',
        b'{"arrays": [["a", "|u1", [true, 10]]]}',
        b'{"arrays": [["a", "|u1", [1' + b"0" * 500 + b"]]]}",
        b'{"arrays": [["a", "|u1", [10' + b", 1" * 70 + b"]]]}",
        b'{"arrays": [["a", "|u1", [10]]], "arrays": []}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "arrays": [["a", "|u1", [10]]]}',
        b"[" * 100_000,
    ],
)
def test_whole_frames_of_another_layout_are_refused(head: bytes) -> None:
    with pytest.raises(StoreError):
        read_message(io.BytesIO(_framed(head, b"0123456789")))


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["text"]), np.zeros(2, "i4,f4"), np.zeros(1, complex)]
)
def test_what_is_no_number_is_not_written(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match="expected booleans"):
        encode_message(Message({}, {"a": array}))


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError, match="expected JSON values"):
        encode_message(Message({"a": object()}))


def test_nothing_is_unpickled() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("unpickled",))

    trap = pickle.dumps(Trap())
    head = json.dumps({"arrays": [["a", "|O", [1]]]}).encode()
    for content in (trap, _framed(trap), _framed(head, trap)):
        with pytest.raises(StoreError):
            read_message(io.BytesIO(content))

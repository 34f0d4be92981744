"""Messages as bytes: a JSON object and arrays, framed and checked, for pipes and journals.

Nothing here can run code when it is read, unlike pickle.

Layout of a frame, little-endian: ``SMRI``, uint32 length of the JSON, uint64 length of the
arrays' bytes, uint32 CRC-32 of both; then the JSON; then the arrays' bytes in C order.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

    Array = NDArray[Any]

MAGIC = b"SMRI"
_PREFIX = struct.Struct("<4sIQI")
_ARRAYS = "arrays"
_KINDS = frozenset("biuf")


@dataclass(frozen=True, eq=False)
class Message:
    """A JSON object and arrays by name.

    Parameters
    ----------
    head : mapping
        JSON values only; the key ``arrays`` is taken.
    arrays : mapping of str to array
        Of booleans, integers or floats. Those of a message that was read are read-only.
    """

    head: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one frame and flush."""
    stream.write(encode_message(message))
    stream.flush()


def encode_message(message: Message) -> bytes:
    """Return a message as one frame."""
    solid = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    # ascontiguousarray makes scalars 1D, so the shape is the original's.
    layout = [
        [name, array.dtype.str, list(message.arrays[name].shape)] for name, array in solid.items()
    ]
    head = json.dumps({**message.head, _ARRAYS: layout}, separators=(",", ":")).encode()
    body = b"".join(array.tobytes() for array in solid.values())
    checksum = zlib.crc32(body, zlib.crc32(head))
    return _PREFIX.pack(MAGIC, len(head), len(body), checksum) + head + body


def read_message(stream: BinaryIO) -> Message | None:
    """Return the next message, or None at the stream's end.

    Raises
    ------
    StoreError
        If the frame is torn or altered, or none at all.
    """
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    if len(prefix) < _PREFIX.size or prefix[:4] != MAGIC:
        message = f"expected a message that begins with {MAGIC!r}, found {prefix[:4]!r}."
        raise StoreError(message)
    _, head_bytes, body_bytes, checksum = _PREFIX.unpack(prefix)
    head, body = stream.read(head_bytes), stream.read(body_bytes)
    complete = len(head) == head_bytes and len(body) == body_bytes
    if not complete or zlib.crc32(body, zlib.crc32(head)) != checksum:
        message = "a message is torn or altered: its length or checksum is not the one it names."
        raise StoreError(message)
    return _decode(head, body)


def _decode(head: bytes, body: bytes) -> Message:
    content = json.loads(head)
    arrays = {}
    offset = 0
    for name, text, shape in content.pop(_ARRAYS):
        dtype = np.dtype(text)
        if dtype.kind not in _KINDS:
            message = f"a message holds an array of {dtype}; expected numbers."
            raise StoreError(message)
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    return Message(content, arrays)

"""Messages as bytes: a JSON object and arrays, framed and checked, for pipes and journals.

Nothing here can run code when it is read, unlike pickle.

Layout of a frame, little-endian: ``SMRI``, uint32 length of the JSON, uint64 length of the
arrays' bytes, uint32 CRC-32 of both; then the JSON; then the arrays' bytes in C order.
"""

from __future__ import annotations

import json
import math
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
_PIECE_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Message:
    """A JSON object and arrays by name.

    Parameters
    ----------
    head : mapping
        JSON values and numpy's scalars only; the key ``arrays`` is taken.
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
    """Return a message as one frame.

    Raises
    ------
    TypeError
        If it holds anything else than JSON values and arrays of numbers.
    """
    for name, array in message.arrays.items():
        if array.dtype.kind not in _KINDS:
            text = f"the array '{name}' is of {array.dtype}; expected booleans, integers or floats."
            raise TypeError(text)
    solid = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    # ascontiguousarray makes scalars 1D, so the shape is the original's.
    layout = [
        [name, array.dtype.str, list(message.arrays[name].shape)] for name, array in solid.items()
    ]
    content = {**message.head, _ARRAYS: layout}
    head = json.dumps(content, separators=(",", ":"), default=_plain).encode()
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
    head, body = _read_exactly(stream, head_bytes), _read_exactly(stream, body_bytes)
    complete = len(head) == head_bytes and len(body) == body_bytes
    if not complete or zlib.crc32(body, zlib.crc32(head)) != checksum:
        message = "a message is torn or altered: its length or checksum is not the one it names."
        raise StoreError(message)
    return _decode(head, body)


def is_torn(content: bytes) -> bool:
    """Tell whether bytes are the beginning of one frame and no more, as a crash leaves them."""
    if len(content) < _PREFIX.size:
        return MAGIC.startswith(content[: len(MAGIC)])
    magic, head_bytes, body_bytes, _ = _PREFIX.unpack_from(content)
    cut_off = len(content) < _PREFIX.size + head_bytes + body_bytes
    # An altered length may reach beyond the end too, but then there are more frames behind.
    return magic == MAGIC and cut_off and MAGIC not in content[len(MAGIC) :]


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    """Return so many bytes, or those that are left.

    In pieces: an altered length may be any number, and room for it is not taken beforehand.
    """
    pieces = []
    while count and (piece := stream.read(min(count, _PIECE_BYTES))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _decode(head: bytes, body: bytes) -> Message:
    try:
        content = dict(json.loads(head))
        arrays = _arrays(content.pop(_ARRAYS), body)
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        message = f"a message is whole, but not of the layout of this version ({error!r})."
        raise StoreError(message) from error
    return Message(content, arrays)


def _arrays(layout: Any, body: bytes) -> dict[str, Array]:
    arrays = {}
    offset = 0
    for name, text, shape in layout:
        dtype = np.dtype(text)
        if dtype.kind not in _KINDS:
            message = f"an array of {dtype}; expected numbers"
            raise ValueError(message)
        count = math.prod(shape)
        arrays[name] = np.frombuffer(body, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    return arrays


def _plain(value: Any) -> Any:
    """Return a numpy scalar as a JSON value."""
    if isinstance(value, np.generic):
        return value.item()
    message = f"a message holds a {type(value).__name__}; expected JSON values."
    raise TypeError(message)

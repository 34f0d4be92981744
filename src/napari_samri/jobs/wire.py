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

from napari_samri.codec import Flaw, convert, integer, list_of, parse_json, row_of, shown, text
from napari_samri.errors import InputError, StoreError

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
_LONGEST_HEAD_BYTES = 1 << 30


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
    source = "a message is whole, but not of the layout of this version"
    try:
        return parse_json(head, lambda value: _message(value, body), source, _LONGEST_HEAD_BYTES)
    except InputError as error:
        raise StoreError(str(error)) from error


def _message(value: object, body: bytes) -> Message:
    """Read a head's layout of arrays; what else it holds is for those who know what it means."""
    if not isinstance(value, dict) or _ARRAYS not in value:
        message = f"is no object with '{_ARRAYS}'"
        raise Flaw(message)
    return Message(
        {name: entry for name, entry in value.items() if name != _ARRAYS},
        _arrays(_LAYOUT(value[_ARRAYS]), body),
    )


def _arrays(layout: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...], body: bytes) -> Any:
    needed = sum(math.prod(shape) * dtype.itemsize for _, dtype, shape in layout)
    if needed != len(body):
        message = f"names arrays of {shown(needed)} bytes; found {len(body)}"
        raise Flaw(message)
    arrays = {}
    offset = 0
    for name, dtype, shape in layout:
        count = math.prod(shape)
        try:
            arrays[name] = np.frombuffer(body, dtype, count, offset).reshape(shape)
        except ValueError as error:  # more dimensions than numpy has, or one that is too long
            message = f"{shown(name)}: no array has this shape ({error})"
            raise Flaw(message) from error
        offset += count * dtype.itemsize
    return arrays


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError as error:
        message = f"no type of numbers ({error})"
        raise ValueError(message) from error


_LAYOUT = list_of(
    row_of(
        text(),
        convert(text(pattern=r"[<>|=][biuf][0-9]{1,2}", what="a type of numbers"), _dtype),
        list_of(integer(0), at_most=64),
    )
)


def _plain(value: Any) -> Any:
    """Return a numpy scalar as a JSON value."""
    if isinstance(value, np.generic):
        return value.item()
    message = f"a message holds a {type(value).__name__}; expected JSON values."
    raise TypeError(message)

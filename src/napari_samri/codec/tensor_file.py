"""Safetensors files that tell whether all their bytes are as they were written.

The format itself knows names, types, shapes and places of tensors, but no checksum: a flipped bit
gives other numbers without a word. So a digest of the whole file stands in its header.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# An entry of the header's text entries; other programs pass it over.
DIGEST = "napari_samri_sha256"
_DIGITS = 64
_BEGIN = f'"{DIGEST}":"'.encode()
_BLANK = b"0" * _DIGITS
_ENTRY = re.compile(rb'"([^"]{%d})":"' % len(DIGEST))
_LENGTH_BYTES = 8
_ALIGNMENT_BYTES = 8
# The most that the safetensors library takes for a header.
_LONGEST_HEADER = 100_000_000
_PIECE_BYTES = 1 << 20


def with_digest(content: bytes) -> bytes:
    """Return a safetensors file with a digest of all its bytes, and its header's entries in order.

    The library writes them in the order of a hash table, which differs from one call to the next;
    here the same tensors and texts give the same bytes.

    Parameters
    ----------
    content : bytes
        As `safetensors.torch.save` and `safetensors.numpy.save` give it.

    Notes
    -----
    The digest is the SHA-256 of the file with zeros in the place of its 64 digits.
    """
    begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES:begin])
    header["__metadata__"] = header.get("__metadata__", {}) | {DIGEST: _BLANK.decode()}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)  # the tensors have to begin at a whole word
    head = len(text).to_bytes(_LENGTH_BYTES, "little") + text
    data = memoryview(content)[begin:]
    digest = hashlib.sha256(head)
    digest.update(data)
    whole = digest.hexdigest().encode()
    return b"".join([head.replace(_BEGIN + _BLANK, _BEGIN + whole), data])


def matches_digest(path: Path) -> bool | None:
    """Tell whether a safetensors file is as `with_digest` made it; None if it has no digest.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        length = file.read(_LENGTH_BYTES)
        text = file.read(min(int.from_bytes(length, "little"), _LONGEST_HEADER))
        place = _place(text)
        if place is None:
            return None
        found = text[place : place + _DIGITS]
        digest = hashlib.sha256(length)
        digest.update(text[:place] + _BLANK + text[place + _DIGITS :])
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest().encode() == found


def _place(header: bytes) -> int | None:
    """Return where the digest begins, also where a bit of its name is flipped."""
    for entry in _ENTRY.finditer(header):
        pairs = zip(entry[1], DIGEST.encode(), strict=True)
        if sum(one != other for one, other in pairs) <= 1:
            return entry.end()
    return None

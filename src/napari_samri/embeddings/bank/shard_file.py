"""One shard of a zarr array, read without zarr: the index once, then one read per chunk.

The layout is zarr's own (sharding codec, index at the end, a CRC-32C behind the index and
behind each chunk); tests compare it with zarr-python bit for bit.

References
----------
Zarr v3 sharding codec, https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import os
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Index = NDArray[np.uint64]

CHECKSUM_BYTES = 4
_ABSENT = np.iinfo(np.uint64).max


def index_bytes(rows: int) -> int:
    """Return how many bytes a shard's index takes, with its checksum."""
    return 16 * rows + CHECKSUM_BYTES


def checked(content: bytes) -> bytes | None:
    """Return bytes without the CRC-32C at their end, or None if it is not theirs."""
    import google_crc32c

    body = memoryview(content)[:-CHECKSUM_BYTES]
    expected = int.from_bytes(content[-CHECKSUM_BYTES:], "little")
    whole = len(content) > CHECKSUM_BYTES and google_crc32c.value(bytes(body)) == expected
    return bytes(body) if whole else None


def empty_shard(rows: int) -> bytes:
    """Return a shard of which every chunk is absent, which zarr itself would not write."""
    import google_crc32c

    index = b"\xff" * (16 * rows)
    return index + google_crc32c.value(index).to_bytes(CHECKSUM_BYTES, "little")


def read_index(path: Path, rows: int) -> Index | None:
    """Return offset and length (rows, 2) of each chunk; None if the shard is missing or torn.

    Only the index is read: that the chunks before it are whole is told by their own checksums.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < index_bytes(rows):
                return None
            file.seek(size - index_bytes(rows))
            content = file.read()
    except FileNotFoundError:
        return None
    body = checked(content)
    if body is None:
        return None
    index = np.frombuffer(body, "<u8").reshape(rows, 2)
    there = index[index[:, 0] != _ABSENT]
    end = int(there.sum(axis=1).max()) if len(there) else 0
    return index if end + index_bytes(rows) == size else None


class ShardFile:
    """A shard that is open for reading, by any number of threads at once.

    Parameters
    ----------
    path : pathlib.Path
    rows : int
        Chunks per shard.

    Raises
    ------
    StoreError
        If the shard is missing or torn.
    """

    def __init__(self, path: Path, rows: int) -> None:
        index = read_index(path, rows)
        if index is None:
            message = f"{path}: missing or torn; run 'napari-samri embed' again to redo it."
            raise StoreError(message)
        self.path = path
        self._index = index
        self._file = path.open("rb", buffering=0)
        self._lock = Lock()

    @cached_property
    def there(self) -> NDArray[np.bool_]:
        """Which chunks there are, (rows,)."""
        return self._index[:, 0] != _ABSENT

    def chunk(self, place: int) -> bytes | None:
        """Return a chunk's bytes, None if it is absent.

        Raises
        ------
        StoreError
            If its checksum is not the one that was written.
        """
        offset, length = (int(value) for value in self._index[place])
        if offset == _ABSENT:
            return None
        body = checked(self._read(offset, length))
        if body is None:
            message = (
                f"{self.path}: the chunk {place} is damaged; run 'napari-samri bank verify' to "
                "find all that are."
            )
            raise StoreError(message)
        return body

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()

    def _read(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, offset)
        with self._lock:  # Windows
            self._file.seek(offset)
            return self._file.read(length)

"""The files of a bank: shards of zarr arrays written and read without zarr, groups and tables.

A shard takes one read for its index, and one per chunk. The layout is zarr's own (sharding codec,
index at the end, a CRC-32C behind the index and behind each chunk); tests compare both ways with
zarr-python bit for bit.

References
----------
Zarr v3 sharding codec, https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Index = NDArray[np.uint64]
    Table = Mapping[str, NDArray[Any]]

CHECKSUM_BYTES = 4
_ABSENT = np.iinfo(np.uint64).max


def checksum(body: bytes) -> bytes:
    """Return the CRC-32C of bytes, as it is written behind them."""
    import google_crc32c

    return google_crc32c.value(body).to_bytes(CHECKSUM_BYTES, "little")


def checked(content: bytes) -> memoryview | None:
    """Return bytes without the CRC-32C at their end, or None if it is not theirs."""
    import google_crc32c

    # An array, because the library takes no memoryview, and a slice of bytes is a copy.
    body = np.frombuffer(content, np.uint8)[:-CHECKSUM_BYTES]
    expected = int.from_bytes(content[-CHECKSUM_BYTES:], "little")
    whole = len(body) > 0 and google_crc32c.value(body) == expected
    return memoryview(content)[:-CHECKSUM_BYTES] if whole else None


def write_shard(path: Path, chunks: Iterable[bytes | None], rows: int) -> None:
    """Write a shard, and wait until it is on the disk.

    Parameters
    ----------
    path : pathlib.Path
    chunks : iterable of bytes or None
        Up to `rows`, in their order; None and those that are not given are absent.
    rows : int
        Chunks per shard.
    """
    index = np.full((rows, 2), _ABSENT, "<u8")
    with path.open("wb") as file:
        for place, chunk in enumerate(chunks):
            if chunk is not None:
                index[place] = file.tell(), len(chunk) + CHECKSUM_BYTES
                file.write(chunk)
                file.write(checksum(chunk))
        file.write(index.tobytes())
        file.write(checksum(index.tobytes()))
        file.flush()
        os.fsync(file.fileno())


def read_index(path: Path, rows: int) -> Index | None:
    """Return offset and length (rows, 2) of each chunk; None if the shard is missing or torn.

    Only the index is read: that the chunks before it are whole is told by their own checksums.

    Raises
    ------
    StoreError
        If it is there and cannot be read.
    """
    index_bytes = 16 * rows + CHECKSUM_BYTES
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - index_bytes))
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    body = checked(content) if len(content) == index_bytes else None
    if body is None:
        return None
    index = np.frombuffer(body, "<u8").reshape(rows, 2)
    there = index[present(index)]
    end = int(there.sum(axis=1).max()) if len(there) else 0
    return index if end + index_bytes == size else None


def present(index: Index) -> NDArray[np.bool_]:
    """Return which chunks there are, (rows,)."""
    return index[:, 0] != _ABSENT


def unreadable(path: Path, error: OSError) -> StoreError:
    """Return the error that says so."""
    return StoreError(f"{path}: cannot be read ({error.strerror or error}).")


class ShardFile:
    """A shard that is open for reading, by any number of threads at once.

    Parameters
    ----------
    path : pathlib.Path
    index : array (rows, 2)
        From `read_index`.

    Raises
    ------
    StoreError
        If it cannot be opened.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path = path
        self.index = index
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise unreadable(path, error) from error
        self._lock = Lock()

    def chunk(self, place: int) -> memoryview | None:
        """Return a chunk's bytes, None if it is absent.

        Raises
        ------
        StoreError
            If it cannot be read, or its checksum is not the one that was written.
        """
        offset, length = (int(value) for value in self.index[place])
        if offset == _ABSENT:
            return None
        try:
            body = checked(self._read(offset, length))
        except OSError as error:
            raise unreadable(self.path, error) from error
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


@contextmanager
def zarr_group(folder: Path, attributes: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Give an empty zarr group in memory, and write it into a folder at the end.

    zarr itself would need hard links for that, which some disks do not have.
    """
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    yield zarr.create_group(MemoryStore(files), attributes=dict(attributes or {}))
    for key, content in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flushed(path, content.to_bytes())


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_table(folder: Path, table: Table) -> None:
    """Write a table as a zarr group with one array per column, each in one chunk."""
    with zarr_group(folder) as group:
        for name, column in table.items():
            chunks = tuple(max(1, n) for n in column.shape)
            group.create_array(name, data=column, chunks=chunks)

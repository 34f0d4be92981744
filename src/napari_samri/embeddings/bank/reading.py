"""Rows read from a bank's parts by any number of threads, by their place or by content key."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.arrays import (
    SHARD_ROWS,
    columns,
    emb_of,
    from_int8,
    row_arrays,
    scale_of,
    shard_key,
)
from napari_samri.embeddings.bank.files import ShardFile, checked, read_index, unreadable
from napari_samri.embeddings.features import frozen
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.arrays import Column
    from napari_samri.embeddings.bank.files import Index
    from napari_samri.embeddings.bank.header import BankHeader
    from napari_samri.embeddings.features import Features

    Array = NDArray[Any]

# Some systems allow a process 256 files in all.
OPEN_FILES = 128
_ADVICE = "run 'napari-samri bank verify' to find all that is damaged."


class PartFiles:
    """Reads chunks; every index is read once (1 KiB a shard), files stay open while in use.

    Parameters
    ----------
    header : BankHeader
    folders : sequence of pathlib.Path
        Of sealed parts; their plans are not read.
    """

    def __init__(self, header: BankHeader, folders: Sequence[Path]) -> None:
        self._header = header
        self._folders = folders
        self._arrays = row_arrays(header)
        self._columns = columns(header)
        self._files: OrderedDict[Path, ShardFile] = OrderedDict()
        self._indices: dict[Path, Index] = {}
        self._read: dict[Path, Array] = {}
        self._lock = Lock()

    def features(self, part: int, part_row: int) -> Features:
        """Return the features of a row of a part as float32, read-only.

        Raises
        ------
        StoreError
            If they are missing or damaged.
        """
        found = {}
        for name in self._header.features:
            values, scale = self.stored(part, part_row, name)
            found[name] = values.astype(np.float32) if scale is None else from_int8(values, scale)
        return frozen(found)

    def stored(self, part: int, part_row: int, feature: str) -> tuple[Array, Array | None]:
        """Return a feature (C, h, w) as it is stored, and its scales (C,) if it is int8.

        Raises
        ------
        StoreError
            As `features`.
        """
        name = emb_of(feature)
        values = self._arrays[name].unpack(self.chunk(part, name, part_row))
        is_int8 = self._header.is_int8
        return values, self.column(scale_of(feature), part, part_row) if is_int8 else None

    def chunk(self, part: int, name: str, part_row: int) -> memoryview:
        """Return the chunk of a row of a part, without its checksum.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        shard, place = divmod(part_row, SHARD_ROWS)
        file = self._file(self._folders[part] / shard_key(name, shard))
        body = file.chunk(place)
        if body is None:
            message = f"{file.path}: the row {part_row} of '{name}' is missing; {_ADVICE}"
            raise StoreError(message)
        return body

    def column(self, name: str, part: int, part_row: int) -> Array:
        """Return what a column has for a row of a part.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        shard, place = divmod(part_row, SHARD_ROWS)
        path = self._folders[part] / shard_key(name, shard)
        rows = self._read.get(path)
        if rows is None:
            rows = self._read.setdefault(path, read_column(self._columns[name], path))
        found: Array = rows[place]
        return found

    def find(self, key: str) -> tuple[int, int] | None:
        """Return the part and the row that has a content key, the newest of several."""
        return self._by_key.get(bytes.fromhex(key))

    @cached_property
    def _by_key(self) -> dict[bytes, tuple[int, int]]:
        """Part and row by content key; what cannot be read is left out."""
        found: dict[bytes, tuple[int, int]] = {}
        for part, folder in enumerate(self._folders):
            for path in (folder / "key").glob("c.*"):
                begin = int(path.name.split(".")[1]) * SHARD_ROWS
                try:
                    rows = read_column(self._columns["key"], path)
                except StoreError:
                    continue
                there = np.flatnonzero(rows.any(axis=1))
                found |= {rows[at].tobytes(): (part, begin + int(at)) for at in there}
        return found

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._files:
                self._files.popitem()[1].close()

    def _file(self, path: Path) -> ShardFile:
        with self._lock:
            if path in self._files:
                self._files.move_to_end(path)
                return self._files[path]
        index = self._indices.get(path)
        if index is None:
            index = self._indices.setdefault(path, _read_index(path))
        file = ShardFile(path, index)
        with self._lock:
            file = self._files.setdefault(path, file)
            # Others may still read from what goes: it is closed when nobody holds it any more.
            while len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
        return file


def read_column(column: Column, path: Path) -> Array:
    """Return a column's rows (64, width) in a shard.

    Raises
    ------
    StoreError
        If they are missing or damaged.
    """
    try:
        body = checked(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    if body is None or len(body) != SHARD_ROWS * column.width * column.dtype.itemsize:
        message = f"{path}: damaged; {_ADVICE}"
        raise StoreError(message)
    return column.unpack(body)


def _read_index(path: Path) -> Index:
    index = read_index(path, SHARD_ROWS)
    if index is None:
        message = f"{path}: missing or torn; {_ADVICE}"
        raise StoreError(message)
    return index

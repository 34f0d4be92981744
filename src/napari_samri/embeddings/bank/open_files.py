"""The shards of a bank's parts, kept open for reading by any number of threads."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.embeddings.bank.arrays import SHARD_ROWS
from napari_samri.embeddings.bank.shard_file import ShardFile, checked, read_index, unreadable
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.part import Part
    from napari_samri.embeddings.bank.shard_file import Index

    FloatArray = NDArray[np.float32]

# Some systems allow a process 256 files in all.
OPEN_FILES = 128


class OpenFiles:
    """Reads chunks; every index is read once (1 KiB a shard), files stay open while in use.

    Parameters
    ----------
    parts : sequence of Part
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._files: OrderedDict[Path, ShardFile] = OrderedDict()
        self._indices: dict[Path, Index] = {}
        self._scales: dict[Path, FloatArray] = {}
        self._lock = Lock()

    def chunk(self, part: int, name: str, part_row: int) -> memoryview:
        """Return the chunk of a row of a part, without its checksum.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        shard, place = divmod(part_row, SHARD_ROWS)
        file = self._file(self._parts[part].shard_path(name, shard))
        body = file.chunk(place)
        if body is None:
            message = f"{file.path}: the row {part_row} of '{name}' is missing; {_ADVICE}"
            raise StoreError(message)
        return body

    def scale(self, part: int, part_row: int) -> FloatArray:
        """Return the scales (C,) of a row of a part.

        Raises
        ------
        StoreError
            If they are missing or damaged.
        """
        shard, place = divmod(part_row, SHARD_ROWS)
        path = self._parts[part].shard_path("scale", shard)
        scales = self._scales.get(path)
        if scales is None:
            scales = self._scales.setdefault(path, read_scales(path))
        return scales[place]

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


_ADVICE = "run 'napari-samri bank verify' to find all that is damaged."


def read_scales(path: Path) -> FloatArray:
    """Return the scales (64, C) of a shard.

    Raises
    ------
    StoreError
        If they are missing or damaged.
    """
    try:
        body = checked(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    if body is None:
        message = f"{path}: damaged; {_ADVICE}"
        raise StoreError(message)
    return np.frombuffer(body, "<f4").reshape(SHARD_ROWS, -1)


def _read_index(path: Path) -> Index:
    index = read_index(path, SHARD_ROWS)
    if index is None:
        message = f"{path}: missing or torn; {_ADVICE}"
        raise StoreError(message)
    return index

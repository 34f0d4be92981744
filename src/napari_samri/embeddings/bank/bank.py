"""A bank open for reading: all sealed parts as one table of rows, and their embeddings."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.arrays import SHARD_ROWS, shard_key
from napari_samri.embeddings.bank.header import read_header
from napari_samri.embeddings.bank.part import parts_of
from napari_samri.embeddings.bank.plan import slice_place
from napari_samri.embeddings.bank.quantise import from_int8
from napari_samri.embeddings.bank.shard_file import ShardFile, checked
from napari_samri.embeddings.bank.tables import joined_pairs, joined_rows
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_samri.datasets.manifest import SliceEntry, Study
    from napari_samri.embeddings.bank.part import Part

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]
    Place = tuple[int, int]

OPEN_FILES = 256
READING_THREADS = 8


class Bank:
    """Embeddings, labels and thumbnails by row; what is sealed while it is open is not seen.

    Parameters
    ----------
    path : path
        The folder that ``napari-samri embed`` has made.

    Attributes
    ----------
    header : BankHeader
    rows : dict of str to array
        Columns of equal length, one entry per row: `dataset`, `patient`, `volume` (numbers of
        the names in `datasets`, `patients`, `studies`), `split` (number in
        `napari_samri.datasets.rules.SPLITS`), `axis`, `slice`, `slice_shape` (rows, columns),
        `spacing_mm` (rows, columns), `weight`, and where it lies: `part`, `part_row`.
    pairs : dict of str to array
        One entry per label on a row: `row`, `label`, `area` (share of the slice), `box_xyxy`
        (pixels of the slice, both ends included), `components`.

    Raises
    ------
    InputError
        If it is no bank, or was altered.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.header = read_header(self.path)
        self.parts = [part for part in parts_of(self.path) if part.sealed]
        kept = _newest(self.parts)
        names, self.rows = joined_rows(self.parts, kept)
        self.datasets, self.patients, self.studies = names
        self.pairs = joined_pairs(self.parts, kept)
        self._files: OrderedDict[tuple[int, str, int], ShardFile] = OrderedDict()
        self._scales: OrderedDict[Place, FloatArray] = OrderedDict()
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows["part"])

    def slice_of(self, row: int) -> tuple[Study, SliceEntry]:
        """Return the study of a row, and its slice."""
        part, part_row = self._place(row)
        return self.parts[part].plan.slice_of(part_row)

    def embedding(self, row: int) -> FloatArray:
        """Return the embedding (C, h, w) of a row as float32.

        Raises
        ------
        StoreError
            If its checksum is not the one that was written.
        """
        stored, scale = self.stored(row)
        return stored.astype(np.float32) if scale is None else from_int8(stored, scale)

    def stored(self, row: int) -> tuple[Array, FloatArray | None]:
        """Return the embedding (C, h, w) of a row as it is stored, and its scales.

        Returns
        -------
        values : float16 or int8 array (C, h, w)
            Read-only.
        scale : float32 array (C,) or None
            By which each channel of int8 is to be multiplied.
        """
        part, part_row = self._place(row)
        body = self._chunk(part, "emb", part_row)
        if self.header.quantisation != "int8":
            values = np.frombuffer(body, "<f2")
            return values.reshape(self.header.embedding_shape), None
        values = np.frombuffer(_unpacked(body), np.int8).reshape(self.header.embedding_shape)
        shard, place = divmod(part_row, SHARD_ROWS)
        return values, self._scale(part, shard)[place]

    def stored_batch(self, rows: Sequence[int]) -> tuple[Array, FloatArray | None]:
        """Return embeddings (B, C, h, w) as they are stored, and scales (B, C), read at once."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="samri-bank")
        found = list(self._pool.map(self.stored, rows))
        scales = [scale for _, scale in found if scale is not None]
        return np.stack([values for values, _ in found]), np.stack(scales) if scales else None

    def labels(self, row: int) -> Array:
        """Return the labels (L, L) of a row in the decoder's low-resolution frame."""
        return self._picture("labels", row)

    def thumb(self, row: int) -> NDArray[np.uint8]:
        """Return the slice (L, L) of 0..255 of a row, in the same frame as its labels."""
        return self._picture("thumb", row)

    def close(self) -> None:
        """Close all files."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        with self._lock:
            while self._files:
                self._files.popitem()[1].close()

    def _place(self, row: int) -> Place:
        if not 0 <= row < len(self):
            message = f"{self.path}: there is no row {row}; expected 0 to {len(self) - 1}."
            raise InputError(message)
        return int(self.rows["part"][row]), int(self.rows["part_row"][row])

    def _chunk(self, part: int, name: str, part_row: int) -> bytes:
        shard, place = divmod(part_row, SHARD_ROWS)
        body = self._file(part, name, shard).chunk(place)
        if body is None:
            message = f"{self.parts[part].path}: the row {part_row} of '{name}' is missing."
            raise StoreError(message)
        return body

    def _picture(self, name: str, row: int) -> Array:
        part, part_row = self._place(row)
        shard, place = divmod(part_row, SHARD_ROWS)
        side = self.header.low_res_size
        wide = name == "labels" and self.parts[part].plan.largest_label > np.iinfo(np.uint8).max
        dtype = np.dtype("<u2" if wide else np.uint8)
        try:
            body = self._file(part, name, shard).chunk(place)
        except StoreError:
            if self._path(part, name, shard).exists():
                raise
            body = None  # nothing but zeros in the whole shard
        if body is None:
            return np.zeros((side, side), dtype)
        return np.frombuffer(_unpacked(body), dtype).reshape(side, side)

    def _path(self, part: int, name: str, shard: int) -> Path:
        return self.parts[part].path / shard_key(name, shard)

    def _file(self, part: int, name: str, shard: int) -> ShardFile:
        key = (part, name, shard)
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        file = ShardFile(self._path(part, name, shard), SHARD_ROWS)
        with self._lock:
            file = self._files.setdefault(key, file)
            # Others may still read from what goes: it is closed when nobody holds it any more.
            while len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
        return file

    def _scale(self, part: int, shard: int) -> FloatArray:
        key = (part, shard)
        with self._lock:
            if key in self._scales:
                return self._scales[key]
        path = self._path(part, "scale", shard)
        try:
            body = checked(path.read_bytes())
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror})."
            raise StoreError(message) from error
        if body is None:
            message = f"{path}: damaged; run 'napari-samri bank verify' to find all that are."
            raise StoreError(message)
        scale = np.frombuffer(body, "<f4").reshape(SHARD_ROWS, -1)
        with self._lock:
            self._scales[key] = scale
            while len(self._scales) > OPEN_FILES:
                self._scales.popitem(last=False)
        return scale


def _newest(parts: Sequence[Part]) -> list[NDArray[np.int64]]:
    """Return the rows of each part that are there and that no later part replaces."""
    seen: set[Any] = set()
    kept: list[NDArray[np.int64]] = []
    for part in reversed(parts):
        absent = frozenset(part.missing_rows())
        rows = []
        row = 0
        for study in part.plan.manifest.studies:
            for entry in study.slices:
                place = slice_place(study, entry)
                if row not in absent and place not in seen:
                    seen.add(place)
                    rows.append(row)
                row += 1
        kept.append(np.array(rows, np.int64))
    return kept[::-1]


def _unpacked(body: bytes) -> bytes:
    from numcodecs.zstd import decompress

    return bytes(decompress(body))

"""A bank open for reading: all sealed parts as one table of rows, and their embeddings."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.header import read_header
from napari_samri.embeddings.bank.open_files import OpenFiles
from napari_samri.embeddings.bank.parts import parts_of
from napari_samri.embeddings.bank.quantise import from_int8
from napari_samri.embeddings.bank.tables import joined_pairs, joined_rows
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray

    from napari_samri.datasets import SliceEntry, Study
    from napari_samri.embeddings.bank.part import Part

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]
    # Where a slice is from, without its index: data set, image and axis.
    Cut = tuple[str, str, int]

READING_THREADS = 8


class Bank:
    """Embeddings, labels and thumbnails by row; what is sealed while it is open is not seen.

    Any number of threads may read. Pickled, for instance for another process, it is its path.

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
        self._files = OpenFiles(self.parts)
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that tell this bank's rows, and their order, from any other's."""
        digest = hashlib.sha256("+".join(part.plan.id for part in self.parts).encode())
        for name in ("part", "part_row"):  # rows may be missing, or replaced by later ones
            digest.update(self.rows[name].astype("<i8").tobytes())
        return digest.hexdigest()[:32]

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
            If it is missing, or its checksum is not the one that was written.
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

        Raises
        ------
        StoreError
            As `embedding`.
        """
        part, part_row = self._place(row)
        values = self._row_of("emb", part, part_row)
        int8 = self.header.quantisation == "int8"
        return values, self._files.scale(part, part_row) if int8 else None

    def stored_batch(self, rows: Sequence[int]) -> tuple[Array, FloatArray | None]:
        """Return embeddings (B, C, h, w) as they are stored, and scales (B, C), read at once."""
        values = np.empty((len(rows), *self.header.embedding_shape), self._dtype)
        scales = np.empty(values.shape[:2], np.float32)

        def read(place: int) -> None:
            values[place], scale = self.stored(rows[place])
            scales[place] = 1 if scale is None else scale

        for _ in self._threads().map(read, range(len(rows))):
            pass
        return values, scales if self.header.quantisation == "int8" else None

    def labels(self, row: int) -> Array:
        """Return the labels (L, L) of a row in the decoder's low-resolution frame, read-only."""
        return self._row_of("labels", *self._place(row))

    def thumb(self, row: int) -> NDArray[np.uint8]:
        """Return the slice (L, L) of 0..255 of a row, in the same frame as its labels."""
        return self._row_of("thumb", *self._place(row))

    def close(self) -> None:
        """Close all files; no other thread may be reading."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Bank], tuple[Path]]:
        return Bank, (self.path,)

    @property
    def _dtype(self) -> type[np.generic]:
        return np.int8 if self.header.quantisation == "int8" else np.float16

    def _place(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            message = f"{self.path}: there is no row {row}; expected 0 to {len(self) - 1}."
            raise InputError(message)
        return int(self.rows["part"][row]), int(self.rows["part_row"][row])

    def _row_of(self, name: str, part: int, part_row: int) -> Array:
        array = self.parts[part].plan.arrays[name]
        return array.unpack(self._files.chunk(part, name, part_row))

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="samri-bank")
            return self._pool


def _newest(parts: Sequence[Part]) -> list[NDArray[np.int64]]:
    """Return the rows of each part that are there and that no later part replaces."""
    seen: defaultdict[Cut, set[int]] = defaultdict(set)
    return [_unseen(part, seen) for part in reversed(parts)][::-1]


def _unseen(part: Part, seen: defaultdict[Cut, set[int]]) -> NDArray[np.int64]:
    """Return the rows of a part that are there and new, and remember their places."""
    absent = frozenset(part.missing_rows())
    rows = []
    row = 0
    for study in part.plan.manifest.studies:
        known = seen[study.dataset, study.image, study.axis]
        for entry in study.slices:
            if row not in absent and entry.index not in known:
                known.add(entry.index)
                rows.append(row)
            row += 1
    return np.array(rows, np.int64)

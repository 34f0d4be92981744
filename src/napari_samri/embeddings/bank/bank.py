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
from napari_samri.embeddings.bank.part import parts_of
from napari_samri.embeddings.bank.reading import PartFiles
from napari_samri.embeddings.features import IMAGE
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from napari_samri.datasets import SliceEntry, Study
    from napari_samri.embeddings.bank.part import Part
    from napari_samri.embeddings.features import Features

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]
    Table = dict[str, Array]
    Rows = NDArray[np.int64]
    Names = tuple[list[str], list[str], list[Study]]
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
        names, self.rows = _joined_rows(self.parts, kept)
        self.datasets, self.patients, self.studies = names
        self.pairs = _joined_pairs(self.parts, kept)
        self._files = PartFiles(self.header, [part.path for part in self.parts])
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

    def features(self, row: int) -> Features:
        """Return the features of a row as float32, read-only.

        Raises
        ------
        StoreError
            If one is missing, or its checksum is not the one that was written.
        """
        return self._files.features(*self._place(row))

    def embedding(self, row: int) -> FloatArray:
        """Return the feature (C, h, w) of a row that SAM's decoder takes: see `features`."""
        return self.features(row)[IMAGE]

    def stored(self, row: int, feature: str = IMAGE) -> tuple[Array, FloatArray | None]:
        """Return a feature (C, h, w) of a row as it is stored, and its scales.

        Returns
        -------
        values : float16 or int8 array (C, h, w)
            Read-only.
        scale : float32 array (C,) or None
            By which each channel of int8 is to be multiplied.

        Raises
        ------
        StoreError
            As `features`.
        """
        return self._files.stored(*self._place(row), feature)

    def stored_batch(
        self, rows: Sequence[int], feature: str = IMAGE
    ) -> tuple[Array, FloatArray | None]:
        """Return a feature (B, C, h, w) as it is stored, and scales (B, C), read at once."""
        dtype = np.int8 if self.header.is_int8 else np.float16
        values = np.empty((len(rows), *self.header.features[feature]), dtype)
        scales = np.empty(values.shape[:2], np.float32)

        def read(place: int) -> None:
            values[place], scale = self.stored(rows[place], feature)
            scales[place] = 1 if scale is None else scale

        for _ in self._threads().map(read, range(len(rows))):
            pass
        return values, scales if self.header.is_int8 else None

    def labels(self, row: int) -> Array:
        """Return the labels (L, L) of a row in the decoder's low-resolution frame, read-only.

        They are all 0 for a slice without labels, which has none among `pairs`.
        """
        part, part_row = self._place(row)
        if not self.parts[part].plan.labelled[part_row]:
            array = self.parts[part].plan.arrays["labels"]
            return np.zeros(array.shape, array.dtype)
        return self._row_of("labels", part, part_row)

    def thumb(self, row: int) -> NDArray[np.uint8]:
        """Return the slice (L, L) of 0..255 of a row, in the same frame as its labels."""
        return self._row_of("thumb", *self._place(row))

    def key(self, row: int) -> str | None:
        """Return the content key of a row's features; None unless `BankHeader.keyed`."""
        if not self.header.keyed:
            return None
        return self._files.column("key", *self._place(row)).tobytes().hex()

    def get(self, key: str) -> Features | None:
        """Return the features of a content key, as a `napari_samri.embeddings.Store`.

        Raises
        ------
        StoreError
            As `features`.
        """
        place = self._files.find(key)
        return None if place is None else self._files.features(*place)

    def put(self, key: str, features: Features) -> None:
        """Refuse: rows come with their slice, from a batch run only.

        Raises
        ------
        StoreError
            Always.
        """
        message = (
            f"{self.path}: a bank that is complete is read-only, so {', '.join(features)} of "
            f"{key[:8]} cannot be added. Embed a data set into it, or use a cache."
        )
        raise StoreError(message)

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


def _joined_rows(parts: Sequence[Part], kept: Sequence[Rows]) -> tuple[Names, Table]:
    """Return the names of data sets, patients and studies, and the columns of all kept rows.

    Parameters
    ----------
    parts : sequence of Part
    kept : sequence of int array
        The rows of each part that count.
    """
    datasets: dict[str, int] = {}
    patients: dict[str, int] = {}
    studies: list[Study] = []
    tables = []
    for number, (part, rows) in enumerate(zip(parts, kept, strict=True)):
        manifest = part.plan.manifest
        table = {name: column[rows] for name, column in part.plan.row_table().items()}
        own = [dataset.name for dataset in manifest.datasets]
        table["dataset"] = _numbers(datasets, own)[table["dataset"]]
        table["patient"] = _numbers(patients, list(part.plan.patients))[table["patient"]]
        table["volume"] = table["volume"] + len(studies)
        table["part"] = np.full(len(rows), number, np.int32)
        table["part_row"] = rows
        studies += manifest.studies
        tables.append(table)
    return (list(datasets), list(patients), studies), _stacked(tables, _ROWS)


def _joined_pairs(parts: Sequence[Part], kept: Sequence[Rows]) -> Table:
    """Return the columns of all labels on kept rows; `row` counts over all parts."""
    tables = []
    begin = 0
    for part, rows in zip(parts, kept, strict=True):
        number = np.full(part.plan.rows, -1, np.int64)
        number[rows] = begin + np.arange(len(rows))
        table = part.plan.pair_table()
        row = number[table["row"]]
        tables.append({name: column[row >= 0] for name, column in table.items()})
        tables[-1]["row"] = row[row >= 0]
        begin += len(rows)
    return _stacked(tables, _PAIRS)


# What a column has beside its rows.
_ROWS = dict.fromkeys(
    ("volume", "dataset", "patient", "split", "axis", "slice", "weight", "part", "part_row"), ()
) | {"slice_shape": (2,), "spacing_mm": (2,)}
_PAIRS = dict.fromkeys(("row", "label", "area", "components"), ()) | {"box_xyxy": (4,)}


def _numbers(known: dict[str, int], names: list[str]) -> NDArray[np.int32]:
    """Return the number of each name, new ones numbered on."""
    return np.array([known.setdefault(name, len(known)) for name in names], np.int32)


def _stacked(tables: Sequence[Table], columns: Mapping[str, tuple[int, ...]]) -> Table:
    if not tables:
        return {name: np.zeros((0, *shape), np.int64) for name, shape in columns.items()}
    return {name: np.concatenate([table[name] for table in tables]) for name in columns}

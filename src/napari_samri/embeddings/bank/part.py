"""A part of a bank: made whole, filled shard by shard in any order, sealed, never changed.

A shard is there if its file of embeddings is, which is put into place after the others. Nothing
else is written down about progress, so nothing can disagree with it.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_samri.datasets.manifest import manifest_from_json
from napari_samri.embeddings.bank.arrays import (
    PICTURES,
    SHARD_ROWS,
    create_arrays,
    shard_key,
    stage_shard,
)
from napari_samri.embeddings.bank.header import read_header
from napari_samri.embeddings.bank.plan import PartPlan
from napari_samri.embeddings.bank.quantise import to_int8
from napari_samri.embeddings.bank.shard_file import empty_shard, read_index
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

PLAN = "plan.json"
SEAL = "sealed.json"
SCRATCH = "scratch"
_TABLES = ("rows", "pairs")


class Part:
    """A part that exists.

    Parameters
    ----------
    path : pathlib.Path
    plan : PartPlan
    """

    def __init__(self, path: Path, plan: PartPlan) -> None:
        self.path = path
        self.plan = plan

    @property
    def sealed(self) -> bool:
        """Whether all of it is there."""
        return (self.path / SEAL).is_file()

    @property
    def scratch(self) -> Path:
        """A folder for what is not yet part of a shard; it goes when the part is sealed."""
        return self.path / SCRATCH

    def is_committed(self, shard: int) -> bool:
        """Tell whether a shard is there and its index whole."""
        return read_index(self.path / shard_key("emb", shard), SHARD_ROWS) is not None

    def missing_shards(self) -> list[int]:
        """Return the shards that are not there, or torn."""
        return [shard for shard in range(self.plan.shards) if not self.is_committed(shard)]

    def write_shard(
        self,
        shard: int,
        embeddings: Mapping[int, NDArray[np.float16]],
        pictures: Mapping[int, Mapping[str, Array]],
    ) -> None:
        """Put a shard into place; who writes it twice writes the same bytes.

        Parameters
        ----------
        shard : int
        embeddings : mapping of int to float16 array (C, h, w)
            By row of the part. Rows of the shard that it lacks are missing from the bank.
        pictures : mapping of int to mapping
            By row: ``labels`` and ``thumb``, (L, L) in the decoder's low-resolution frame.

        Raises
        ------
        StoreError
            If it cannot be written; the shard then counts as missing.
        """
        rows = self.plan.rows_of(shard)
        header = self.plan.header
        shape = (len(rows), *header.embedding_shape)
        int8 = header.quantisation == "int8"
        values = np.zeros(shape, np.int8 if int8 else np.float16)
        scale = np.zeros(shape[:2], np.float32)
        for place, row in enumerate(rows):
            if row in embeddings and int8:
                values[place], scale[place] = to_int8(embeddings[row])
            elif row in embeddings:
                values[place] = embeddings[row]
        arrays = {name: self._pictures(name, rows, pictures) for name in PICTURES}
        if int8:
            arrays["scale"] = scale
        # Last: with it the shard is committed.
        arrays["emb"] = values
        with self._done_by_another(), self._staged() as stage:
            for name, array in arrays.items():
                self._place(name, shard, array, stage)

    def seal(self) -> None:
        """Write the table of pairs and the mark that the part is complete, if it is.

        Rows that no shard has, because their study could not be read, are named there.

        Raises
        ------
        StoreError
            If shards are missing, or the disk refuses.
        """
        if self.sealed:
            return
        missing = self._missing_rows()
        with self._done_by_another(), self._staged() as stage:
            self._put_table("pairs", self.plan.pair_table(missing), stage)
            mark = {"rows": self.plan.rows, "missing": missing}
            (stage / SEAL).write_text(json.dumps(mark, separators=(",", ":")) + "\n")
            _put(stage / SEAL, self.path / SEAL)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def reopen(self, shards: list[int]) -> None:
        """Take away damaged shards, and with them the mark that the part is complete."""
        for mark in (self.path / SEAL, *self._files_of("emb", shards)):
            mark.unlink(missing_ok=True)
        shutil.rmtree(self.path / "pairs", ignore_errors=True)

    def missing_rows(self) -> list[int]:
        """Return the rows of a sealed part that it lacks."""
        return [int(row) for row in json.loads((self.path / SEAL).read_bytes())["missing"]]

    def _files_of(self, name: str, shards: list[int]) -> list[Path]:
        return [self.path / shard_key(name, shard) for shard in shards]

    def _missing_rows(self) -> list[int]:
        absent = []
        for shard, path in enumerate(self._files_of("emb", [*range(self.plan.shards)])):
            index = read_index(path, SHARD_ROWS)
            if index is None:
                message = f"{path}: this shard is missing, so the part cannot be sealed."
                raise StoreError(message)
            there = index[:, 0] != np.iinfo(np.uint64).max
            rows = self.plan.rows_of(shard)
            absent += [row for row, found in zip(rows, there, strict=False) if not found]
        return absent

    def _pictures(
        self, name: str, rows: range, pictures: Mapping[int, Mapping[str, Array]]
    ) -> Array:
        side = self.plan.header.low_res_size
        labels = np.uint8 if self.plan.largest_label <= np.iinfo(np.uint8).max else np.uint16
        dtype = labels if name == "labels" else np.uint8
        values = np.zeros((len(rows), side, side), dtype)
        for place, row in enumerate(rows):
            if row in pictures:
                values[place] = pictures[row][name]
        return values

    def _place(self, name: str, shard: int, values: Array, stage: Path) -> None:
        staged = stage_shard(self.path, name, shard, values, stage)
        if staged is None and name != "emb":
            return
        if staged is None:
            staged = stage / "empty"
            staged.write_bytes(empty_shard(SHARD_ROWS))
        _put(staged, self.path / shard_key(name, shard))

    def _put_table(self, name: str, table: Mapping[str, Array], stage: Path) -> None:
        """Write a table in a folder of its own, and move it into place if there is none."""
        _write_table(stage / name, table)
        with suppress(OSError):  # another process was faster; its table is the same
            (stage / name).rename(self.path / name)

    @contextmanager
    def _done_by_another(self) -> Iterator[None]:
        """Let it pass that another process has sealed the part, and taken the scratch away."""
        try:
            yield
        except StoreError:
            if not self.sealed:
                raise

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        stage = self.scratch / uuid4().hex
        try:
            stage.mkdir(parents=True)
            yield stage
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            message = (
                f"{self.path}: cannot be written ({error.strerror or error}). What was done "
                "before is kept; make room, and run the same command again."
            )
            raise StoreError(message) from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def parts_of(bank: Path) -> list[Part]:
    """Return the parts of a bank, oldest first.

    Raises
    ------
    InputError
        If a part's plan is damaged or not the one that its name tells of.
    """
    header = read_header(bank)
    paths = sorted((bank / "parts").glob("*-*/" + PLAN))
    return [open_part(path.parent, header) for path in paths]


def open_part(path: Path, header: Any) -> Part:
    """Open a part.

    Raises
    ------
    InputError
        As `parts_of`.
    """
    try:
        content = (path / PLAN).read_bytes()
    except OSError as error:
        message = f"{path / PLAN}: cannot be read ({error.strerror})."
        raise InputError(message) from error
    plan = PartPlan(header, manifest_from_json(content, str(path / PLAN)))
    if plan.id != path.name.partition("-")[2]:
        message = (
            f"{path}: its plan is not the one that its name tells of, so it was altered. Move "
            "this folder out of the bank, and run 'napari-samri embed' again."
        )
        raise InputError(message)
    return Part(path, plan)


def create_part(bank: Path, plan: PartPlan) -> Part:
    """Make an empty part for a plan, or return the one that is there.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    for part in parts_of(bank):
        if part.plan.id == plan.id:
            return part
    parts = bank / "parts"
    newest = max((int(path.name.partition("-")[0]) for path in parts.glob("*-*")), default=0)
    path = parts / f"{newest + 1:05d}-{plan.id}"
    stage = bank / f".making-{uuid4().hex}"
    try:
        parts.mkdir(exist_ok=True)
        stage.mkdir()
        create_arrays(stage, plan.header, plan.rows, plan.largest_label)
        _write_table(stage / "rows", plan.row_table())
        (stage / PLAN).write_bytes(plan.content)
        with suppress(OSError):  # another process was faster; its part is the same
            stage.rename(path)
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror or error}). Nothing was changed."
        raise StoreError(message) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return open_part(path, plan.header)


def _write_table(folder: Path, table: Mapping[str, Array]) -> None:
    import zarr

    group = zarr.create_group(folder)
    for name, column in table.items():
        chunks = tuple(max(1, n) for n in column.shape)
        group.create_array(name, data=column, chunks=chunks)


def _put(staged: Path, path: Path) -> None:
    """Move a file into place, its bytes first."""
    with staged.open("rb+") as file:
        os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(path)

"""The parts of a bank: made whole, filled shard by shard in any order, sealed, never changed.

A shard is there if its file of embeddings is, which is put into place after the others. Nothing
else is recorded about progress, so nothing can disagree with it.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_samri.datasets import manifest_from_json
from napari_samri.embeddings.bank.arrays import (
    SHARD_ROWS,
    create_arrays,
    mark_of,
    shard_key,
    stored_values,
)
from napari_samri.embeddings.bank.digests import (
    DIGESTS,
    Mark,
    digested,
    digests_text,
    file_digests,
    read_digests,
    read_mark,
    shard_digests,
)
from napari_samri.embeddings.bank.files import (
    present,
    read_index,
    write_flushed,
    write_shard,
    write_table,
)
from napari_samri.embeddings.bank.header import read_header
from napari_samri.embeddings.bank.plan import PartPlan
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_samri.embeddings.bank.arrays import BankRow
    from napari_samri.embeddings.bank.files import Index, Table
    from napari_samri.embeddings.bank.header import BankHeader

PARTS = "parts"
PLAN = "plan.json"
SEAL = "sealed.json"
SCRATCH = "scratch"
MAKING = ".making"


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

    def shard_path(self, name: str, shard: int) -> Path:
        """Return where a shard of an array lies, or will lie."""
        return self.path / shard_key(name, shard)

    def is_committed(self, shard: int) -> bool:
        """Tell whether a shard is there and its index whole."""
        return self._index(shard) is not None

    def _index(self, shard: int) -> Index | None:
        return read_index(self.shard_path(self.mark_array, shard), SHARD_ROWS)

    @property
    def mark_array(self) -> str:
        """The array whose files tell which shards are there."""
        return mark_of(self.plan.header)

    def missing_shards(self) -> list[int]:
        """Return the shards that are not there, or torn."""
        return [shard for shard in range(self.plan.shards) if not self.is_committed(shard)]

    def write_shard(self, shard: int, rows: Mapping[int, BankRow]) -> None:
        """Put a shard into place, unless it is there; written twice, it has the same bytes.

        A part that another process has sealed in the meantime stays as it is.

        Parameters
        ----------
        shard : int
        rows : mapping of int to BankRow
            By row of the part. Rows of the shard that it lacks are missing from the bank.

        Raises
        ------
        StoreError
            If it cannot be written; the shard then counts as missing.
        """
        if self.sealed:
            return
        with self._unless_sealed(), self.staged() as stage:
            files = list(stage_shard(self.plan, shard, rows, stage))
            if self.is_committed(shard):  # by another process; its digest may be taken by now
                return
            for name, staged in files:
                staged.replace(self.shard_path(name, shard))

    def seal(self) -> None:
        """Write the table of pairs and the mark that the part is complete, if it is.

        Rows that no shard has, because their study could not be read, are named there.

        Raises
        ------
        StoreError
            If shards are missing, or the disk refuses.
        """
        if not self.sealed:
            missing = self.absent_rows()
            files: dict[str, str] = {}
            for shard in range(self.plan.shards):
                files |= shard_digests(self.path, self.plan, shard)
            with self._unless_sealed(), self.staged() as stage:
                self.put_table("pairs", self.plan.pair_table(missing), stage)
                content = digests_text(files | file_digests(self.path, self.plan))
                self._put(DIGESTS, content, stage)
                digest = hashlib.sha256(content).hexdigest()
                mark = {"rows": self.plan.rows, "missing": missing, "digests": digest}
                self._put(SEAL, digested(mark), stage)
        self._tidy()

    def _put(self, name: str, content: bytes, stage: Path) -> None:
        write_flushed(stage / name, content)
        (stage / name).replace(self.path / name)

    def reopen(self, shards: Sequence[int]) -> None:
        """Take away damaged shards, and with them the mark that the part is complete."""
        for name in (SEAL, DIGESTS):
            (self.path / name).unlink(missing_ok=True)
        for shard in shards:
            self.shard_path(self.mark_array, shard).unlink(missing_ok=True)
        shutil.rmtree(self.path / "pairs", ignore_errors=True)

    def missing_rows(self) -> list[int]:
        """Return the rows of a sealed part that it lacks.

        Raises
        ------
        InputError
            If the mark that says so is damaged.
        """
        return list(self.mark().missing)

    def mark(self) -> Mark:
        """Return what the mark of a sealed part says.

        Raises
        ------
        InputError
            As `missing_rows`.
        """
        return read_mark(self.path / SEAL, self.plan)

    def digests(self) -> dict[str, str]:
        """Return what the part's files were when it was sealed, by name; none of one of before.

        Raises
        ------
        InputError
            If that is damaged, or missing.
        """
        return read_digests(self.path, self.mark() if self.sealed else None)

    def absent_rows(self) -> list[int]:
        """Return the rows that no shard has.

        Raises
        ------
        StoreError
            If a whole shard is missing.
        """
        absent: list[int] = []
        for shard in range(self.plan.shards):
            index = self._index(shard)
            if index is None:
                message = f"{self.path}: the shard {shard} is missing, so it cannot be sealed."
                raise StoreError(message)
            rows = self.plan.rows_of(shard)
            absent += [row for row, there in zip(rows, present(index), strict=False) if not there]
        return absent

    def put_table(self, name: str, table: Table, stage: Path) -> None:
        """Write a table in another folder, and move it into place if there is none."""
        write_table(stage / name, table)
        try:
            (stage / name).rename(self.path / name)
        except OSError:
            # Another process was faster; its table is the same.
            if not (self.path / name).is_dir():
                raise

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Give a folder for files on their way, which goes at the end.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
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

    @contextmanager
    def _unless_sealed(self) -> Iterator[None]:
        """Let it pass that another process seals the part meanwhile, and takes the scratch away."""
        try:
            yield
        except StoreError:
            if not self.sealed:
                raise
        finally:
            if self.sealed:
                self._tidy()

    def _tidy(self) -> None:
        """Take away what interrupted processes left of a sealed part's making."""
        bank = self.path.parents[1]
        for left in (self.scratch, *bank.glob(f"{MAKING}-{self.plan.id}-*")):
            shutil.rmtree(left, ignore_errors=True)


def parts_of(bank: Path) -> list[Part]:
    """Return the parts of a bank, oldest first.

    Raises
    ------
    InputError
        If a part's plan is damaged or not the one that its name tells of.
    """
    header = read_header(bank)
    return [open_part(path, header) for path in part_folders(bank)]


def part_folders(bank: Path, plan_id: str = "*") -> list[Path]:
    """Return the folders of a bank's parts, oldest first."""
    return sorted(path for path in (bank / PARTS).glob(f"[0-9]*-{plan_id}") if path.is_dir())


def sealed_folders(bank: Path) -> list[Path]:
    """Return the folders of a bank's complete parts, oldest first."""
    return [path for path in part_folders(bank) if (path / SEAL).is_file()]


def open_part(path: Path, header: BankHeader) -> Part:
    """Open a part.

    Raises
    ------
    InputError
        As `parts_of`.
    """
    try:
        content = (path / PLAN).read_bytes()
    except OSError as error:
        message = (
            f"{path / PLAN}: cannot be read ({error.strerror or error}). Move this folder out of "
            "the bank, and run 'napari-samri embed' again."
        )
        raise InputError(message) from error
    # First of all: whatever was altered, this is what there is to say.
    if PartPlan.id_of(header, content) != path.name.partition("-")[2]:
        message = (
            f"{path}: its plan is not the one that its name tells of, so it was altered. Move "
            "this folder out of the bank, and run 'napari-samri embed' again."
        )
        raise InputError(message)
    return Part(path, PartPlan(header, manifest_from_json(content, str(path / PLAN))))


def create_part(bank: Path, plan: PartPlan, *, again: bool = False) -> Part:
    """Make an empty part for a plan, or return the newest that is there, unless asked for again.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    found = part_folders(bank, plan.id)
    if found and not again:
        return Part(found[-1], plan)
    newest = max((int(path.name.partition("-")[0]) for path in part_folders(bank)), default=0)
    path = bank / PARTS / f"{newest + 1:05d}-{plan.id}"
    stage = bank / f"{MAKING}-{plan.id}-{uuid4().hex}"
    try:
        path.parent.mkdir(exist_ok=True)
        stage.mkdir()
        create_arrays(stage, plan.header, plan.rows, plan.largest_label)
        write_table(stage / "rows", plan.row_table())
        write_flushed(stage / PLAN, plan.content)
        stage.rename(path)
    except OSError as error:
        # Or another process was faster; its part is the same.
        if not (path / PLAN).is_file():
            message = f"{path}: cannot be written ({error.strerror or error}). Nothing was changed."
            raise StoreError(message) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Part(path, plan)


def stage_shard(
    plan: PartPlan, shard: int, rows: Mapping[int, BankRow], stage: Path
) -> Iterator[tuple[str, Path]]:
    """Write the files of a shard into an empty folder; yield the name of each array with its file.

    The array of `mark_of` comes last.

    Parameters
    ----------
    plan : PartPlan
    shard : int
    rows : mapping of int to BankRow
        By row of the part.
    stage : pathlib.Path
    """
    there = plan.rows_of(shard)
    for row in rows:
        _check_row(plan, row, rows[row])
    values = {row: stored_values(plan.header, rows[row]) for row in there if row in rows}
    for name, column in plan.columns.items():
        content = column.pack({row - there.start: found[name] for row, found in values.items()})
        write_flushed(stage / name, content)
        yield name, stage / name
    for name, array in plan.arrays.items():
        found = (values.get(row, {}).get(name) for row in there)
        chunks = (None if row is None else array.pack(row) for row in found)
        write_shard(stage / name, chunks, SHARD_ROWS)
        yield name, stage / name


def _check_row(plan: PartPlan, number: int, row: BankRow) -> None:
    labelled = bool(plan.labelled[number])
    if row.features.keys() != plan.header.features.keys() or (row.labels is not None) != labelled:
        found = "no labels" if row.labels is None else "labels"
        message = (
            f"the row {number} has {', '.join(row.features)} and {found}; expected "
            f"{', '.join(plan.header.features)} and {'labels' if labelled else 'no labels'}."
        )
        raise StoreError(message)

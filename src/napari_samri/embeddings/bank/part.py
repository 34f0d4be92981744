"""A part of a bank: made whole, filled shard by shard in any order, sealed, never changed.

A shard is there if its file of embeddings is, which is put into place after the others. Nothing
else is written down about progress, so nothing can disagree with it.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_samri.embeddings.bank.arrays import SHARD_ROWS, shard_key
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
from napari_samri.embeddings.bank.shard_file import present, read_index
from napari_samri.embeddings.bank.staging import stage_shard
from napari_samri.embeddings.bank.tables import write_table
from napari_samri.embeddings.bank.zarr_files import write_flushed
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.plan import PartPlan

    Array = NDArray[Any]
    Half = NDArray[np.float16]

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
        return read_index(self.shard_path("emb", shard), SHARD_ROWS) is not None

    def missing_shards(self) -> list[int]:
        """Return the shards that are not there, or torn."""
        return [shard for shard in range(self.plan.shards) if not self.is_committed(shard)]

    def write_shard(
        self,
        shard: int,
        embeddings: Mapping[int, Half],
        pictures: Mapping[int, Mapping[str, Array]],
    ) -> None:
        """Put a shard into place, unless it is there; who writes it twice writes the same bytes.

        A part that another process has sealed in the meantime stays as it is.

        Parameters
        ----------
        shard : int
        embeddings : mapping of int to float16 array (C, h, w)
            By row of the part. Rows of the shard that it lacks are missing from the bank.
        pictures : mapping of int to mapping
            By row, at least the same ones: ``labels`` and ``thumb``, (L, L) in the decoder's
            low-resolution frame.

        Raises
        ------
        StoreError
            If it cannot be written; the shard then counts as missing.
        """
        if self.sealed:
            return
        with self._unless_sealed(), self.staged() as stage:
            files = list(stage_shard(self.plan, shard, embeddings, pictures, stage))
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
            self.shard_path("emb", shard).unlink(missing_ok=True)
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
            index = read_index(self.shard_path("emb", shard), SHARD_ROWS)
            if index is None:
                message = f"{self.path}: the shard {shard} is missing, so it cannot be sealed."
                raise StoreError(message)
            rows = self.plan.rows_of(shard)
            absent += [row for row, there in zip(rows, present(index), strict=False) if not there]
        return absent

    def put_table(self, name: str, table: Mapping[str, Array], stage: Path) -> None:
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

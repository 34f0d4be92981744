"""Shards done one after the other: reading ahead, encoding, writing behind, all at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.embeddings import DiskCache, user_cache
from napari_samri.embeddings.bank import BankRow, to_half
from napari_samri.errors import Cancelled
from napari_samri.jobs import run_ahead
from napari_samri.work.rows import ReadyRow, RowReader, UnreadableStudy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from napari_samri.jobs import Cancel
    from napari_samri.work.encoder import BankEncoder
    from napari_samri.work.planning import Task

READ_AHEAD = 8
# An embedding that took longer is kept on its own until its shard is written, which may take
# minutes with a large encoder: an interruption then costs one slice, and not 64.
WORTH_KEEPING_SECONDS = 0.5
_UNBOUNDED = 1 << 62


@dataclass
class Work:
    """What was done so far; filled in by `embed_shards`.

    Parameters
    ----------
    encoding_seconds : float
        How long the encoder was at work.
    unreadable : list of UnreadableStudy
    """

    encoding_seconds: float = 0
    unreadable: list[UnreadableStudy] = field(default_factory=list)


class _Shard:
    """A shard that is being filled.

    Features that took longer than `WORTH_KEEPING_SECONDS` are kept until it is complete.
    """

    def __init__(self, task: Task, kept: DiskCache) -> None:
        self.task = task
        self.rows: dict[int, BankRow] = {}
        self._kept = kept

    def take(self, item: ReadyRow, encoder: BankEncoder, cancel: Cancel) -> float:
        """Lay a row into it, encoded if need be; return the seconds that the encoder took."""
        begin = time.perf_counter()
        features = item.features
        if features is None:
            try:
                features = encoder(item.input_image, cancel)
            except Cancelled:
                for row in self.rows.values():
                    self._keep(row)
                raise
        seconds = 0.0 if item.features else time.perf_counter() - begin
        halves = {name: to_half(array) for name, array in features.items()}
        row = self.rows[item.row] = BankRow(halves, item.thumb, item.labels, item.key)
        if seconds > WORTH_KEEPING_SECONDS:
            self._keep(row)
        return seconds

    def write(self) -> None:
        """Put it into place, unless another process was faster."""
        if not self.task.part.is_committed(self.task.shard):
            self.task.part.write_shard(self.task.shard, self.rows)
        for row in self.rows.values():
            self._kept.drop(row.key)

    def _keep(self, row: BankRow) -> None:
        if not self._kept.path(row.key).exists():
            features = {name: half.astype(np.float32) for name, half in row.features.items()}
            self._kept.put(row.key, features)


def embed_shards(
    tasks: Sequence[Task],
    encoder: BankEncoder,
    roots: Mapping[str, Path],
    cancel: Cancel,
    work: Work,
) -> Iterator[int | UnreadableStudy]:
    """Do shards, and yield the number of rows done by each step, or a study left out.

    Each shard is in place when the next but one begins, and all when this ends.

    Raises
    ------
    Cancelled
        If `cancel` says so; rows of the shard that was not complete are kept for the next run.
    StoreError
        If the disk refuses; what was written before stays.
    """
    items = run_ahead(_items(tasks, encoder, roots), READ_AHEAD)
    writer = ThreadPoolExecutor(1, thread_name_prefix="samri-write")
    pending: Future[None] | None = None
    try:
        for shard, item in items:
            if item is None:
                if pending is not None:
                    pending.result()
                pending = writer.submit(shard.write)
                yield 0
            elif isinstance(item, UnreadableStudy):
                work.unreadable.append(item)
                yield item
            else:
                work.encoding_seconds += shard.take(item, encoder, cancel)
                yield 1
        if pending is not None:
            pending.result()
    finally:
        items.close()
        writer.shutdown()


def _items(
    tasks: Sequence[Task], encoder: BankEncoder, roots: Mapping[str, Path]
) -> Iterator[tuple[_Shard, ReadyRow | UnreadableStudy | None]]:
    """Yield what is read for each shard, and None at its end."""
    user = user_cache(memory_bytes=0)
    for part, own in groupby(tasks, key=lambda task: task.part):
        kept = DiskCache(part.scratch / "rows", _UNBOUNDED)
        reader = RowReader(part.plan, roots, encoder, [kept, user])
        for task in own:
            shard = _Shard(task, kept)
            for item in reader.read(task.rows):
                yield shard, item
            yield shard, None

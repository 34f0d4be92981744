"""Shards done one after the other: reading ahead, encoding, writing behind, all at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings import IMAGE, DiskCache
from napari_samri.errors import Cancelled
from napari_samri.jobs import run_ahead
from napari_samri.work.rows import ReadyRow, RowReader, UnreadableStudy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank import Part
    from napari_samri.jobs import Cancel
    from napari_samri.work.encoder import BankEncoder
    from napari_samri.work.planning import Task

    Half = NDArray[np.float16]

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


@dataclass(eq=False)
class _Shard:
    """A shard on its way."""

    task: Task
    embeddings: dict[int, Half] = field(default_factory=dict)
    pictures: dict[int, Mapping[str, Any]] = field(default_factory=dict)


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
                pending = writer.submit(_write, shard)
                yield 0
            elif isinstance(item, UnreadableStudy):
                work.unreadable.append(item)
                yield item
            else:
                _take(shard, item, encoder, cancel, work)
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
    readers: dict[Part, RowReader] = {}
    for task in tasks:
        reader = readers.get(task.part)
        if reader is None:
            readers = {task.part: RowReader(task.part.plan, roots, encoder)}
            reader = readers[task.part]
        shard = _Shard(task)
        kept = _Kept(task.part)
        known = {row: half for row in task.rows if (half := kept.get(row)) is not None}
        shard.embeddings.update(known)
        for item in reader.read(task.rows, frozenset(known)):
            yield shard, item
        yield shard, None


def _take(shard: _Shard, item: ReadyRow, encoder: BankEncoder, cancel: Cancel, work: Work) -> None:
    """Encode a row and lay it into its shard."""
    if item.input_image is not None:
        begin = time.perf_counter()
        try:
            half = encoder(item.input_image, cancel)
        except Cancelled:
            _keep(shard)
            raise
        seconds = time.perf_counter() - begin
        work.encoding_seconds += seconds
        if seconds > WORTH_KEEPING_SECONDS:
            _Kept(shard.task.part).put(item.row, half)
        shard.embeddings[item.row] = half
    shard.pictures[item.row] = item.pictures


def _keep(shard: _Shard) -> None:
    kept = _Kept(shard.task.part)
    for row, half in shard.embeddings.items():
        kept.put(row, half)


def _write(shard: _Shard) -> None:
    task = shard.task
    if not task.part.is_committed(task.shard):  # another process may have been faster
        task.part.write_shard(task.shard, shard.embeddings, shard.pictures)
    kept = _Kept(task.part)
    for row in task.rows:
        kept.drop(row)


class _Kept:
    """Embeddings of rows whose shard is not complete."""

    def __init__(self, part: Part) -> None:
        self._cache = DiskCache(part.scratch / "rows", _UNBOUNDED)
        self._prefix = part.plan.id

    def get(self, row: int) -> Half | None:
        found = self._cache.get(self._key(row))
        return None if found is None else found[IMAGE].astype(np.float16)

    def put(self, row: int, half: Half) -> None:
        if not self._cache.path(self._key(row)).exists():
            self._cache.put(self._key(row), {IMAGE: half.astype(np.float32)})

    def drop(self, row: int) -> None:
        self._cache.drop(self._key(row))

    def _key(self, row: int) -> str:
        return f"{row % 100:02d}-{row}-{self._prefix}"

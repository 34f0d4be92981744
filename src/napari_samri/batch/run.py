"""A batch run: what is there already is left alone, the rest is done and sealed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_samri.batch.encoder import load_encoder
from napari_samri.batch.planning import Task, plan_parts, tasks_of
from napari_samri.batch.rows import UnreadableStudy, roots_of
from napari_samri.batch.shards import Work, embed_shards
from napari_samri.datasets import read_manifest
from napari_samri.errors import Cancelled
from napari_samri.jobs.events import (
    Event,
    Finished,
    Noted,
    Problem,
    Progressed,
    Started,
    Stopped,
    never,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_samri.batch.config import EmbedConfig
    from napari_samri.embeddings.bank.part import Part
    from napari_samri.jobs.events import Cancel


def embed_bank(config: EmbedConfig, cancel: Cancel = never) -> Iterator[Event]:
    """Embed the slices of a manifest into a bank, and tell how it goes.

    May be stopped and started again at any time, and run by several processes at once, on one
    machine or many: the bank ends up the same, byte by byte, as long as the encoder's numbers
    are (the same model, device and number of threads).

    Yields
    ------
    Event
        `Started`, then `Progressed` by slices and a `Problem` for every study that cannot be
        read, and at last `Finished` or, if it was cancelled, `Stopped`.

    Raises
    ------
    InputError, ModelError, StoreError
        If the manifest, the model or the bank cannot be used; what was done before is kept.
    """
    manifest = read_manifest(config.manifest)
    yield Noted(text=f"loading the encoder of {config.model}")
    encoder = load_encoder(config.model, config.device, config.family)
    parts = plan_parts(config.out, encoder.header(config.quantisation), manifest)
    tasks = tasks_of(parts, config.rank, config.ranks)
    pending = [task for task in tasks if not task.part.is_committed(task.shard)]
    clock = Clock(total=count_rows(tasks), done=count_rows(tasks) - count_rows(pending))
    yield Started(what="slices", total=clock.total, done=clock.done)
    work = Work()
    try:
        roots = roots_of(manifest, config.manifest)
        for step in embed_shards(pending, encoder, roots, cancel, work):
            if isinstance(step, UnreadableStudy):
                yield Problem(text=f"left out: {step.study.image}: {step.text}")
            else:
                yield clock.advance(step)
    except Cancelled:
        text = f"stopped after {clock.done:,} of {clock.total:,} slices; run it again to go on"
        yield Stopped(text=text)
        return
    open_parts = seal_parts(parts)
    yield _finished(config, clock, work, open_parts)


class Clock:
    """Counts rows and guesses how long the rest takes."""

    def __init__(self, total: int, done: int) -> None:
        self.total = total
        self.done = done
        self._begin = time.perf_counter()
        self._first = done

    @property
    def seconds(self) -> float:
        """Since the clock was made."""
        return time.perf_counter() - self._begin

    def advance(self, rows: int) -> Progressed:
        """Count rows and return how far the work is."""
        self.done += rows
        new = self.done - self._first
        left = self.seconds / new * (self.total - self.done) if new else None
        return Progressed(done=self.done, total=self.total, seconds_left=left, what="slices")


def seal_parts(parts: Sequence[Part]) -> int:
    """Seal the parts that are complete; return how many are not."""
    complete = [part for part in parts if not part.missing_shards()]
    for part in complete:
        part.seal()
    return len(parts) - len(complete)


def count_rows(tasks: Sequence[Task]) -> int:
    """Return how many rows tasks have."""
    return sum(len(task.rows) for task in tasks)


def _finished(config: EmbedConfig, clock: Clock, work: Work, open_parts: int) -> Finished:
    text = f"{config.out}: {clock.total:,} slices embedded"
    if work.unreadable:
        text += f"; {len(work.unreadable)} studies could not be read"
    if open_parts:
        text += "; other ranks are still to finish, the last one completes the bank"
    details = {
        "slices": clock.total,
        "seconds": round(clock.seconds, 3),
        "encoding_seconds": round(work.encoding_seconds, 3),
        "unreadable": [study.study.image for study in work.unreadable],
        "complete": not open_parts,
    }
    return Finished(text=text, details=details)

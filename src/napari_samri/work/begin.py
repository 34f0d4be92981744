"""How every batch run begins: the encoder is loaded, the bank planned, what is there counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.datasets import read_manifest
from napari_samri.embeddings.bank import remember_bank
from napari_samri.jobs import Event, Noted, Progressed, Started
from napari_samri.work.encoder import load_encoder
from napari_samri.work.planning import plan_parts, tasks_of
from napari_samri.work.rows import roots_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_samri.embeddings.bank import Part
    from napari_samri.work.config import EmbedConfig
    from napari_samri.work.encoder import BankEncoder
    from napari_samri.work.planning import Task


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


@dataclass(frozen=True, eq=False)
class Begun:
    """A run that has begun.

    Parameters
    ----------
    out : pathlib.Path
        The bank.
    encoder : BankEncoder
    roots : dict of pathlib.Path
        Folder of each data set.
    parts : list of Part
    pending : list of Task
        Shards of this rank that are not there yet.
    clock : Clock
    """

    out: Path
    encoder: BankEncoder
    roots: dict[str, Path]
    parts: list[Part]
    pending: list[Task]
    clock: Clock

    def seal(self) -> int:
        """Seal the parts that are complete; return how many are not."""
        complete = [part for part in self.parts if not part.missing_shards()]
        for part in complete:
            part.seal()
        remember_bank(self.out)
        return len(self.parts) - len(complete)


def begin_run(config: EmbedConfig) -> Generator[Event, None, Begun]:
    """Begin a run, tell so, and return it.

    Raises
    ------
    InputError, ModelError, StoreError
        If the manifest, the model or the bank cannot be used.
    """
    manifest = read_manifest(config.manifest)
    yield Noted(text=f"loading the encoder of {config.model}")
    encoder = load_encoder(config.model, config.device, config.family)
    parts = plan_parts(config.out, encoder.header(config.quantisation, config.turn), manifest)
    tasks = tasks_of(parts, config.rank, config.ranks)
    pending = [task for task in tasks if not task.part.is_committed(task.shard)]
    clock = Clock(total=_rows(tasks), done=_rows(tasks) - _rows(pending))
    yield Started(what="slices", total=clock.total, done=clock.done)
    return Begun(config.out, encoder, roots_of(manifest, config.manifest), parts, pending, clock)


def _rows(tasks: Sequence[Task]) -> int:
    return sum(len(task.rows) for task in tasks)

"""A batch run: what is there already is left alone, the rest is done and sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.errors import Cancelled
from napari_samri.jobs import Event, Finished, Problem, Stopped, never
from napari_samri.work.begin import Clock, begin_run
from napari_samri.work.rows import UnreadableStudy
from napari_samri.work.shards import Work, embed_shards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.jobs import Cancel
    from napari_samri.work.config import EmbedConfig


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
    run = yield from begin_run(config)
    clock, work = run.clock, Work()
    try:
        for step in embed_shards(run.pending, run.encoder, run.roots, cancel, work):
            if isinstance(step, UnreadableStudy):
                yield Problem(text=f"left out: {step.study.image}: {step.text}")
            else:
                yield clock.advance(step)
    except Cancelled:
        text = f"stopped after {clock.done:,} of {clock.total:,} slices; run it again to go on"
        yield Stopped(text=text)
        return
    yield _finished(config, clock, work, run.seal())


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

"""Long work on the command line: shown, reported to a job's folder, and stopped by Ctrl+C."""

from __future__ import annotations

import signal
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from napari_samri.cli.events import EventPrinter
from napari_samri.jobs import keep_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_samri.jobs import Cancel, Event


def run_long_work(
    work: Callable[[Cancel], Iterator[Event]], job: Path | None, *, quiet: bool = False
) -> int:
    """Run work to its end and return the exit code.

    Parameters
    ----------
    work : callable
        Takes a `Cancel` and returns events.
    job : pathlib.Path or None
        Folder of the job that this is, for a window that follows it.
    quiet : bool
        Show nothing: another process of the same work does.
    """
    keep_memory()
    with _reporting(job) as report, _interruptible() as interrupted:

        def cancel() -> bool:
            return interrupted() or (report is not None and report.cancel())

        show = EventPrinter(quiet=quiet)
        for event in work(cancel):
            show(event)
            if report is not None:
                report.tell(event)
        return show.code


def _reporting(folder: Path | None) -> Any:
    if folder is None:
        return nullcontext()
    from napari_samri.jobs import reporting

    return reporting(folder)


@contextmanager
def _interruptible() -> Iterator[Cancel]:
    """Turn the first Ctrl+C, and SLURM's and torchrun's SIGTERM, into a request to stop.

    A second Ctrl+C ends the work at once.
    """
    asked = False

    def ask(number: int, _: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

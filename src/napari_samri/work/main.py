"""``python -m napari_samri.work``: does the task of a job's folder, of a file, or of a script.

Long work on a terminal is shown, reported to a job's folder, and stopped by Ctrl+C.
"""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError, SamriError
from napari_samri.jobs import (
    EXIT_INPUT,
    EXIT_OTHER,
    EventPrinter,
    keep_memory,
    read_job,
    reporting,
    say,
    saying_warnings,
)
from napari_samri.work.registry import task_from_json, task_from_text
from napari_samri.work.tasks import EmbedTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_samri.jobs import Cancel
    from napari_samri.work.task import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Do a task and return the exit code: 0 done, 3 in part, 2 unusable input, 1 anything else."""
    parser = argparse.ArgumentParser(prog="python -m napari_samri.work", description=__doc__)
    parser.add_argument("task", help="folder of a job, a file with a task as JSON, or that JSON")
    parser.add_argument("--rank", type=int, help="which of its ranks this process is")
    options = parser.parse_args(arguments)
    try:
        with saying_warnings():
            return _do(options.task, options.rank)
    except SamriError as error:
        say(f"error: {error}")
        return EXIT_INPUT
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_OTHER


def _do(what: str, rank: int | None) -> int:
    if what.lstrip().startswith("{"):
        return run_task(_ranked(task_from_text(what), rank))
    path = Path(what)
    if path.is_dir():
        with reporting(path) as report:  # what is wrong with the task is told there too
            return run_task(_ranked(task_from_json(read_job(path).task), rank), report=report)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        message = f"{what}: cannot be read ({error}); expected a job's folder or a task as JSON."
        raise InputError(message) from error
    return run_task(_ranked(task_from_text(text, what), rank))


def _ranked(task: Task, rank: int | None) -> Task:
    if rank is None:
        return task
    if not isinstance(task, EmbedTask):
        message = f"'{task.title}' has no ranks; expected a task that embeds."
        raise InputError(message)
    return replace(task, config=replace(task.config, rank=rank))


def run_task(task: Task, job: Path | None = None, *, report: Any = None) -> int:
    """Run work to its end, show how it goes, and return the exit code.

    Of several processes that torchrun has started, the first one shows and reports.

    Parameters
    ----------
    task : Task
    job : pathlib.Path, optional
        Folder to report to.
    report : Reporter, optional
        Of a job's folder that is this process's already.
    """
    keep_memory()
    first = int(os.environ.get("RANK", "0")) == 0
    reports = reporting(job) if first and job is not None else nullcontext(report)
    with reports as reporter, _interruptible() as interrupted:

        def cancel() -> bool:
            return interrupted() or (reporter is not None and reporter.cancel())

        show = EventPrinter(quiet=not first)
        for event in task.events(cancel):
            show(event)
            if reporter is not None:
                reporter.tell(event)
        return show.code


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

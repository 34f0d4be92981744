"""A job for tests: ``python -m tests.jobs.worker FOLDER``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from napari_samri.errors import Cancelled, InputError
from napari_samri.jobs.detached import read_job
from napari_samri.jobs.events import Finished, Noted, Progressed, Started, Stopped
from napari_samri.jobs.report_file import Reporter, reporting

STEPS = 100
ENDLESS = 10**6  # hours: ends when it is asked to, however slow whoever asks is


def work(what: str, reporter: Reporter) -> None:
    match what:
        case "count":
            _count(reporter, STEPS)
        case "endless":
            _count(reporter, ENDLESS)
        case "refuse":
            text = "the manifest is missing; make one."
            raise InputError(text)
        case "bug":
            text = "a fault"
            raise RuntimeError(text)
        case "bug at the end":
            reporter.tell(Finished(text="done"))
            raise RuntimeError
        case "cancelled":
            raise Cancelled
        case "say nothing":
            print("last words", file=sys.stderr)  # noqa: T201
        case "deaf":
            reporter.tell(Noted(text="busy"))
            time.sleep(600)
        case "die":
            reporter.tell(Noted(text="before"))
            os._exit(9)


def _count(reporter: Reporter, steps: int) -> None:
    reporter.tell(Started(what="Counting", total=steps))
    for done in range(1, steps + 1):
        if reporter.cancel():
            reporter.tell(Stopped(text=f"stopped after {done - 1}"))
            return
        time.sleep(0.02)
        reporter.tell(Progressed(done=done, total=steps))
    reporter.tell(Finished(text="counted", details={"nice": os.nice(0)}))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    wanted = read_job(folder).task.get("what", "endless")
    if wanted == "unusable":
        sys.exit("no such task")
    with reporting(folder) as its:
        work(wanted, its)

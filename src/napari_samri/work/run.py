"""A run: one or more jobs that do a task together, watched as one, and found after a restart."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_samri.errors import InputError, StoreError
from napari_samri.jobs import (
    POLL_SECONDS,
    Failed,
    Finished,
    Job,
    JobWatch,
    Measured,
    Noted,
    Problem,
    Progressed,
    Started,
    Stopped,
    is_last,
    list_jobs,
    never,
    start_job,
)
from napari_samri.training import TrainConfig
from napari_samri.work.config import EmbedConfig
from napari_samri.work.registry import task_from_json, task_to_json
from napari_samri.work.task import Count, Made
from napari_samri.work.tasks import EmbedTask, FinetuneTask, WarmTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_samri.jobs import Cancel, Event
    from napari_samri.work.task import Phase, Task

MODULE = "napari_samri.work"
# Of a job's folder: the images that it was given, which go when it has ended.
IMAGES = "images"
_RUN, _NUMBER, _PROBLEMS = "run", "number", "problems"
_SEEN = "SEEN"


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a run is.

    Parameters
    ----------
    phase : str
    text : str
        For people.
    done, total : int
        A total of 0 is one that nobody knows yet.
    problems : tuple of str
        What was left out.
    made : Made
        What there is of the result.
    """

    phase: Phase = "idle"
    text: str = ""
    done: int = 0
    total: int = 0
    problems: tuple[str, ...] = ()
    made: Made = field(default_factory=Made)

    @property
    def busy(self) -> bool:
        """Whether something goes on."""
        return self.phase in {"preparing", "running", "stopping"}


class Run:
    """Jobs that were started together.

    Parameters
    ----------
    jobs : sequence of Job
        At least one.
    task : Task
        What the first of them does.
    """

    def __init__(self, jobs: Sequence[Job], task: Task) -> None:
        self.jobs = tuple(jobs)
        self.task = task

    @property
    def title(self) -> str:
        """For people."""
        return self.jobs[0].title

    @property
    def running(self) -> bool:
        """Whether one of its processes lives."""
        return any(job.running for job in self.jobs)

    @property
    def told(self) -> Phase | None:
        """How it ended, if a user was told."""
        with suppress(OSError):
            return (self.jobs[0].folder / _SEEN).read_text()  # type: ignore[return-value]
        return None

    def settle(self, phase: Phase) -> None:
        """Note that a user was told how it ended, and delete the images that it was given."""
        folder = self.jobs[0].folder
        with suppress(OSError):
            (folder / _SEEN).write_text(phase)
        shutil.rmtree(folder / IMAGES, ignore_errors=True)

    def cancel(self) -> None:
        """Ask all its processes to stop; each does within one slice.

        Raises
        ------
        StoreError
            If that cannot be written.
        """
        for job in self.jobs:
            job.cancel()

    def forget(self) -> None:
        """Delete what is left of it, unless it runs; what it made stays."""
        for job in self.jobs:
            with suppress(StoreError):
                job.forget()

    def follow(self, stop: Cancel = never) -> Iterator[Status | None]:
        """Yield how far it is whenever that changes, else None, until all its processes ended."""
        tally = Tally(self)
        watches = [JobWatch(job) for job in self.jobs]
        while not stop():
            events = [(n, event) for n, watch in enumerate(watches) for event in watch.look()]
            for number, event in events:
                tally.take(number, event)
            yield tally.status if events else None
            if all(watch.ended for watch in watches):
                return
            if self.task.grace_seconds is not None:
                for job in self.jobs:
                    job.end_overdue(self.task.grace_seconds)
            time.sleep(POLL_SECONDS)


class Tally:
    """The events of all jobs of a run, summed up."""

    def __init__(self, run: Run) -> None:
        count = len(run.jobs)
        self._task = run.task
        self._note = run.title
        self._at: list[Started | Progressed | None] = [None] * count
        self._ends: list[Finished | Stopped | Failed | None] = [None] * count
        self._what = ""
        self._curve: list[Measured] = []
        self._made = Made()
        # A dict, since several jobs may tell of the same problem.
        self._problems = dict.fromkeys(map(str, run.jobs[0].details.get(_PROBLEMS, ())))
        self._names = {**run.task.names, run.jobs[0].folder: run.task.name}

    def take(self, number: int, event: Event) -> None:
        """Add an event of the job of this number."""
        match event:
            case Started() | Progressed():
                self._at[number] = event
                self._what = event.what or self._what
            case Finished() | Stopped() | Failed():
                self._ends[number] = event
            case Problem():
                self._problems[self._named(event.text)] = None
            case Noted():
                self._note = self._named(event.text)
                if self._what and self._what == self._task.lists_notes_of:
                    self._problems[self._note] = None
            case Measured():
                self._curve.append(event)
        if isinstance(event, Measured) or is_last(event):
            self._made = self._task.made(self._made)

    @property
    def status(self) -> Status:
        """How far the run is."""
        at = [each for each in self._at if each is not None]
        # Until all have said how much there is, nobody knows.
        total = sum(each.total for each in at) if len(at) == len(self._at) else 0
        count = Count(
            done=sum(each.done for each in at),
            total=total,
            what=self._what,
            seconds_left=self._seconds_left(),
            curve=tuple(self._curve),
        )
        if any(end is None for end in self._ends):
            phase: Phase = "running"
            text = self._task.progress(count) if total else self._note
        else:
            phase, text = self._outcome()
        return Status(
            phase=phase,
            text=text,
            done=count.done,
            total=total,
            problems=tuple(self._problems),
            made=self._made,
        )

    def _seconds_left(self) -> float | None:
        left = [
            event.seconds_left
            for event, end in zip(self._at, self._ends, strict=True)
            if end is None and isinstance(event, Progressed) and event.seconds_left is not None
        ]
        return max(left, default=None)

    def _outcome(self) -> tuple[Phase, str]:
        """Return how it ended: what went worst counts."""
        kinds: tuple[tuple[type, Phase], ...] = (
            (Failed, "failed"),
            (Stopped, "stopped"),
            (Finished, "finished"),
        )
        for kind, phase in kinds:
            ends = [end for end in self._ends if end is not None and type(end) is kind]
            texts = [self._named(end.text) for end in ends]
            if texts and phase == "finished":
                return phase, texts[-1] if len(texts) == 1 else self._task.all_done_text
            if texts:
                return phase, "\n".join(dict.fromkeys(texts))
        return "failed", ""

    def _named(self, text: str) -> str:
        """Return a text with paths as people know them: a widget is narrow."""
        for path, name in self._names.items():
            text = text.replace(str(path), name)
        return text


def start_run(
    tasks: Sequence[Task], *, problems: Sequence[str] = (), folder: Path | None = None
) -> Run:
    """Start one job for each task.

    Parameters
    ----------
    tasks : sequence of Task
        Parts of one, for processes that work at once; at least one.
    problems : sequence of str
        What was left out already.
    folder : pathlib.Path, optional
        Of the first job.

    Raises
    ------
    StoreError
        If one of them cannot be started; then none goes on.
    """
    run = uuid4().hex
    jobs: list[Job] = []
    try:
        for number, task in enumerate(tasks):
            details = {
                _RUN: run,
                _NUMBER: number,
                _PROBLEMS: list(problems) if not number else [],
            }
            own = None if number else folder
            plain = task_to_json(task)
            jobs.append(start_job(MODULE, task.title, own, task=plain, details=details))
    except StoreError:
        for job in jobs:
            job.cancel()
        raise
    return Run(jobs, tasks[0])


def find_runs(*kinds: str) -> list[Run]:
    """Return all runs of tasks of these kinds that left a trace, newest first.

    What a task of a later version, or of a package that is gone, left is passed over.
    """
    groups: dict[str, list[Job]] = {}
    for job in list_jobs():
        if run := job.details.get(_RUN) or job.details.get(_OLD_RUN) or job.folder.name:
            groups.setdefault(str(run), []).append(job)
    runs = []
    for jobs in groups.values():
        jobs.sort(key=_number)
        with suppress(InputError):
            runs.append(Run(jobs, _task_of(jobs[0])))
    return [run for run in runs if run.task.id in kinds]


def run_to_show(*kinds: str) -> Run | None:
    """Return the run that a user wants to hear of: one that runs, or that ended meanwhile."""
    runs = [run for run in find_runs(*kinds) if run.task.worth_showing(run.told)]
    # One that was told of and runs still is only on its way out.
    running = (run for run in runs if run.running and run.told is None)
    return next(running, runs[0] if runs else None)


def _number(job: Job) -> int:
    number = job.details.get(_NUMBER)
    return number if isinstance(number, int) else 0


def _task_of(job: Job) -> Task:
    return task_from_json(job.task) if job.task else _old_task(job.details)


# Jobs of version 1, which ran a command line, said what they make beside it.
_OLD_RUN = "embedding run"
_OLD_TUNING = "fine-tuning run"


def _old_task(details: Any) -> Task:
    """Return what is known of the task of a job that an earlier version started.

    Raises
    ------
    InputError
        If nothing is.
    """
    if details.get(_OLD_TUNING):
        out = Path(str(details.get("out")))
        epochs = int(details.get("epochs", 1))
        config = TrainConfig(bank=out, out=out, epochs=epochs)
        return FinetuneTask(config=config, estimate=bool(details.get("estimate")))
    if not details.get(_OLD_RUN):
        message = "this job does no task that is known."
        raise InputError(message)
    if bank := details.get("bank"):
        return EmbedTask(config=EmbedConfig(manifest=Path(bank), out=Path(bank)))
    path, name = next(iter(dict(details.get("names", {})).items()), ("image", "image"))
    return WarmTask(image=Path(path), called=str(name))

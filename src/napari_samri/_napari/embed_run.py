"""A run: one or more jobs that embed together, watched as one, and found again after a restart."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from napari_samri.errors import StoreError
from napari_samri.jobs import (
    POLL_SECONDS,
    Failed,
    Finished,
    Job,
    Noted,
    Problem,
    Progressed,
    Started,
    Stopped,
    Watch,
    duration,
    list_jobs,
    never,
    start_job,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_samri.jobs import Cancel, Event

Phase = Literal["idle", "preparing", "running", "stopping", "finished", "stopped", "failed"]
RUN_KEY = "embedding run"
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
    """

    phase: Phase = "idle"
    text: str = ""
    done: int = 0
    total: int = 0
    problems: tuple[str, ...] = ()

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
    """

    # How long after it was asked to stop a process is ended; None: never.
    grace_seconds: float | None = None

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)

    @property
    def title(self) -> str:
        """For people."""
        return self.jobs[0].title

    @property
    def bank(self) -> Path | None:
        """What it makes, or None if it fills the cache."""
        bank = self.jobs[0].details.get("bank")
        return Path(bank) if isinstance(bank, str) else None

    @property
    def running(self) -> bool:
        """Whether one of its processes lives."""
        return any(job.running for job in self.jobs)

    @property
    def seen(self) -> Phase | None:
        """How it ended, if somebody was told."""
        with suppress(OSError):
            return (self.jobs[0].folder / _SEEN).read_text()  # type: ignore[return-value]
        return None

    def mark_seen(self, phase: Phase) -> None:
        """Note that somebody was told how it ended, and delete the image that it was given."""
        with suppress(OSError):
            (self.jobs[0].folder / _SEEN).write_text(phase)
        for file in self.jobs[0].folder.glob("*.nii*"):
            with suppress(OSError):
                file.unlink()

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
        """Delete what is left of it, unless it runs; the bank stays."""
        for job in self.jobs:
            with suppress(StoreError):
                job.forget()

    def tally(self) -> Tally:
        """Return what sums up its events."""
        return Tally(self)

    def follow(self, stop: Cancel = never) -> Iterator[Status | None]:
        """Yield how far it is whenever that changes, else None, until all its processes ended."""
        tally = self.tally()
        watches = [Watch(job) for job in self.jobs]
        while not stop():
            events = [(n, event) for n, watch in enumerate(watches) for event in watch.look()]
            for number, event in events:
                tally.take(number, event)
            yield tally.status if events else None
            if all(watch.ended for watch in watches):
                return
            if self.grace_seconds is not None:
                for job in self.jobs:
                    job.end_overdue(self.grace_seconds)
            time.sleep(POLL_SECONDS)


class Tally:
    """The events of all jobs of a run, summed up."""

    def __init__(self, run: Run) -> None:
        count = len(run.jobs)
        self.note = run.title
        self.at: list[Started | Progressed | None] = [None] * count
        self._ends: list[Finished | Stopped | Failed | None] = [None] * count
        details = run.jobs[0].details
        # A dict, since several jobs may tell of the same problem.
        self._problems = dict.fromkeys(map(str, details.get("problems", ())))
        self._names = {str(path): str(name) for path, name in details.get("names", {}).items()}

    def take(self, number: int, event: Event) -> None:
        """Add an event of the job of this number."""
        match event:
            case Started() | Progressed():
                self.at[number] = event
            case Finished() | Stopped() | Failed():
                self._ends[number] = event
            case Problem():
                self._problems[self._named(event.text)] = None
            case Noted():
                self.note = self._named(event.text)

    @property
    def status(self) -> Status:
        """How far the run is."""
        at = [each for each in self.at if each is not None]
        # Until all have said how much there is, nobody knows.
        total = sum(each.total for each in at) if len(at) == len(self.at) else 0
        done = sum(each.done for each in at)
        problems = tuple(self._problems)
        if any(end is None for end in self._ends):
            text = self.progress(done, total)
            return Status(phase="running", text=text, done=done, total=total, problems=problems)
        phase, text = self.outcome()
        return Status(phase=phase, text=text, done=done, total=total, problems=problems)

    def progress(self, done: int, total: int) -> str:
        """Say how far a run is that goes on."""
        if not total:
            return self.note
        left = [
            event.seconds_left
            for event, end in zip(self.at, self._ends, strict=True)
            if end is None and isinstance(event, Progressed) and event.seconds_left is not None
        ]
        text = f"{done:,} of {total:,} slices"
        return f"{text}, {duration(max(left))} left" if left else text

    def outcome(self) -> tuple[Phase, str]:
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
                return phase, texts[-1] if len(texts) == 1 else "All slices are embedded."
            if texts:
                return phase, "\n".join(dict.fromkeys(texts))
        return "failed", ""

    def _named(self, text: str) -> str:
        """Return a text with paths as people know them: the widget is narrow."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text


def start_run(
    title: str,
    arguments: Sequence[Sequence[str]],
    *,
    bank: Path | None = None,
    names: Mapping[Path, str] | None = None,
    problems: Sequence[str] = (),
    folder: Path | None = None,
) -> Run:
    """Start one job for each command line.

    Parameters
    ----------
    title : str
    arguments : sequence of sequence of str
    bank : pathlib.Path, optional
        What is made.
    names : mapping of pathlib.Path to str, optional
        What paths are called in texts for people.
    problems : sequence of str
        What was left out already.
    folder : pathlib.Path, optional
        Of the first job.

    Raises
    ------
    StoreError
        If one of them cannot be started; then none goes on.
    """
    shown = {str(path): name for path, name in (names or {}).items()}
    details = {RUN_KEY: uuid4().hex, "bank": str(bank) if bank else None, "names": shown}
    jobs: list[Job] = []
    try:
        for number, line in enumerate(arguments):
            own = details | {"number": number, "problems": list(problems) if not number else []}
            jobs.append(start_job(line, title, None if number else folder, details=own))
    except StoreError:
        for job in jobs:
            job.cancel()
        raise
    return Run(jobs)


def find_runs() -> list[Run]:
    """Return all runs that left a trace, newest first."""
    groups: dict[str, list[Job]] = {}
    for job in list_jobs():
        if run := job.details.get(RUN_KEY):
            groups.setdefault(str(run), []).append(job)
    return [Run(sorted(jobs, key=_number)) for jobs in groups.values()]


def run_to_show() -> Run | None:
    """Return the run that somebody wants to hear of: one that runs, or that ended meanwhile.

    One whose end was told is only worth it while its bank can be opened.
    """
    runs = find_runs()
    for run in runs:
        if run.running and run.seen is None:  # else its process is only on its way out
            return run
    for run in runs:
        if run.seen is None:
            return run
        if run.seen == "finished" and run.bank is not None and run.bank.exists():
            return run
    return None


def _number(job: Job) -> int:
    number = job.details.get("number")
    return number if isinstance(number, int) else 0

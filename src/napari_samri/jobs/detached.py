"""Jobs that outlive the window: started, watched, stopped, and found again after a restart.

A job's process runs a module, whose only argument is the job's folder: there stands what it is to
do. Its side is `reporting`.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_samri.atomic import replacing
from napari_samri.codec import any_object, list_of, number, read_each, read_json, record, text
from napari_samri.errors import InputError, MissingFileError, StoreError
from napari_samri.jobs.child import CHILD_NICENESS, SETTINGS
from napari_samri.jobs.events import Failed, Stopped, is_last, never
from napari_samri.jobs.job_folder import (
    EVENTS,
    JOB,
    LOG,
    STOP,
    EventFile,
    end_of_log,
    is_locked,
    jobs_dir,
    last_change,
    process_of,
    seconds_since_asked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_samri.codec import Reader
    from napari_samri.jobs.events import Cancel, Event

logger = logging.getLogger(__name__)

VERSION = 2
POLL_SECONDS = 0.1
# Until it holds its lock, a job of another window cannot be told from one that died.
_STARTING_SECONDS = 60.0
_KEEP_SECONDS = 7 * 24 * 3600.0
_ENDED = "Stopped, by ending its process. What it had saved is kept, and can be gone on from."
_JOB: Reader[dict[str, Any]] = record(
    dict,
    {"title": text(), "started": number(0), "task": any_object, "details": any_object},
    marks={"version": VERSION},
)
# Of jobs that ran a command line.
_JOB_1: Reader[dict[str, Any]] = record(
    dict,
    {"title": text(), "arguments": list_of(text()), "started": number(0), "details": any_object},
    marks={"version": 1},
)
# Of this process: it has to hear of their end, or they stay behind as zombies.
_own: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, eq=False)
class Job:
    """A job, running or ended, known by its folder.

    Parameters
    ----------
    folder : pathlib.Path
    title : str
        For people.
    started : float
        Seconds since 1970.
    task : mapping
        What it does, as JSON values that the module understands which it runs; empty for one
        that an earlier version started.
    details : mapping
        JSON values that are to be found again beside that.
    """

    folder: Path
    title: str
    started: float = 0.0
    task: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        process = _own.get(self.folder)
        if process is not None:
            return process.poll() is None
        return self._may_be_starting() or is_locked(self.folder)

    def cancel(self) -> None:
        """Ask it to stop; its last event follows.

        Raises
        ------
        StoreError
            If its folder cannot be written.
        """
        try:
            (self.folder / STOP).touch()
        except OSError as error:
            message = f"{self.folder}: the job cannot be stopped ({error.strerror or error})."
            raise StoreError(message) from error

    def end_overdue(self, grace_seconds: float) -> None:
        """Kill its process if it was asked to stop longer ago than that and still runs.

        What it has saved is whole: files appear whole or not at all.
        """
        asked = seconds_since_asked(self.folder)
        if asked is None or asked <= grace_seconds:
            return
        process = _own.get(self.folder)
        if process is not None:
            process.kill()
        elif (pid := process_of(self.folder)) is not None:
            with suppress(OSError):  # it has ended meanwhile
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def events(self, stop: Cancel = never) -> Iterator[Event | None]:
        """Yield its events from the first to the last, as they come, and None where none is new.

        The last one is always one that `is_last`, unless `stop` says so before.
        """
        watch = JobWatch(self)
        while not stop():
            yield from watch.look()
            if watch.ended:
                return
            yield None
            time.sleep(POLL_SECONDS)

    def forget(self) -> None:
        """Delete the folder of an ended job.

        Raises
        ------
        StoreError
            If it still runs.
        """
        if self.running:
            message = f"the job '{self.title}' still runs; cancel it before it is deleted."
            raise StoreError(message)
        _own.pop(self.folder, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _may_be_starting(self) -> bool:
        fresh = 0 <= time.time() - self.started < _STARTING_SECONDS
        return fresh and self.folder.exists() and not (self.folder / EVENTS).exists()


class JobWatch:
    """Looks at a job again and again, from its first event to its last."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file = EventFile(job.folder / EVENTS)
        self.ended = False

    def look(self) -> list[Event]:
        """Return the events since the last look; a process that died without one has failed."""
        if self.ended:
            return []
        running = self._job.running  # before its last events are read
        events = []
        for event in self._file.read():
            events.append(event)
            if is_last(event):
                self.ended = True
                return events
        if not running:
            self.ended = True
            asked = seconds_since_asked(self._job.folder) is not None
            events.append(Stopped(text=_ENDED) if asked else Failed(text=self._failure()))
        return events

    def _failure(self) -> str:
        words = end_of_log(self._job.folder / LOG)
        text = (
            f"The job '{self._job.title}' ended unexpectedly; what it had done is kept. "
            "Start it again."
        )
        return f"{text}\n{words}" if words else text


def start_job(
    module: str,
    title: str,
    folder: Path | None = None,
    *,
    task: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
) -> Job:
    """Start ``python -m module FOLDER``, which outlives this process.

    Parameters
    ----------
    module : str
        What to run; it finds its task in the folder, by `read_job`.
    title : str
        For people.
    folder : pathlib.Path, optional
        By default a new one in the user's folder of jobs.
    task : mapping
        JSON values.
    details : mapping, optional
        JSON values to be kept with the job.

    Raises
    ------
    StoreError
        If the folder cannot be written or the process cannot be started.
    """
    folder = (folder or new_job_folder()).absolute()
    job = Job(folder, title, time.time(), dict(task), dict(details or {}))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(job)
        with (folder / LOG).open("ab") as log:
            process = _spawn([sys.executable, "-P", "-m", module, str(folder)], log)
    except OSError as error:
        message = f"{folder}: the job cannot be started ({error.strerror or error})."
        raise StoreError(message) from error
    _own[folder] = process
    _lower_priority(process.pid)
    return job


def new_job_folder() -> Path:
    """Return a place for a job that nobody else has; names sort by time."""
    return jobs_dir() / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:8]}"


def list_jobs() -> list[Job]:
    """Return all jobs, newest first; damaged ones are passed over and logged."""
    found = read_each(_folders(), _read)
    for damaged in found.bad:
        _tell_once(damaged.reason)
    return sorted(found.good, key=lambda job: job.started, reverse=True)


def delete_old_jobs() -> None:
    """Delete the folders of jobs that ended days ago."""
    for folder in _folders():
        old = time.time() - last_change(folder) > _KEEP_SECONDS
        if old and not Job(folder, folder.name).running:
            shutil.rmtree(folder, ignore_errors=True)


def read_job(folder: Path) -> Job:
    """Return the job of a folder.

    Raises
    ------
    InputError
        If there is none, or it is damaged or of a later version.
    """
    job = _read(folder)
    if job is None:
        message = f"{folder}: is no job's folder; expected one with a file {JOB}."
        raise InputError(message)
    return job


def _folders() -> list[Path]:
    try:
        return [path for path in jobs_dir().iterdir() if path.is_dir()]
    except OSError:
        return []


@lru_cache(maxsize=1000)
def _tell_once(reason: str) -> None:
    """Log that a job is passed over: widgets list the jobs again and again."""
    logger.warning("a job is passed over: %s", reason)


def _spawn(command: Sequence[str], log: Any) -> subprocess.Popen[bytes]:
    # A process group of its own: what ends the window's group, such as Ctrl+C, does not end it.
    groups: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = ("CREATE_NO_WINDOW", "CREATE_NEW_PROCESS_GROUP", "BELOW_NORMAL_PRIORITY_CLASS")
        groups = {"creationflags": sum(getattr(subprocess, flag) for flag in flags)}
    return subprocess.Popen(  # noqa: S603  # our own module
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        env={**SETTINGS, **os.environ},
        **groups,
    )


def _lower_priority(pid: int) -> None:
    """Let redrawing windows come first; on Windows, a flag has done it."""
    if hasattr(os, "setpriority"):
        with suppress(OSError):  # it has ended already
            nice = os.getpriority(os.PRIO_PROCESS, 0) + CHILD_NICENESS
            os.setpriority(os.PRIO_PROCESS, pid, nice)


def _write(job: Job) -> None:
    content = {
        "version": VERSION,
        "title": job.title,
        "started": job.started,
        "task": dict(job.task),
        "details": dict(job.details),
    }
    with replacing(job.folder / JOB) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def _read(folder: Path) -> Job | None:
    """Return the job of a folder; None if it is no job's.

    Raises
    ------
    InputError
        If it is damaged or a later version's.
    """
    try:
        return Job(folder, **read_json(folder / JOB, _of_any_version))
    except MissingFileError:
        return None


def _of_any_version(value: object) -> dict[str, Any]:
    if isinstance(value, dict) and value.get("version") == 1:
        found = _JOB_1(value)
        return {name: each for name, each in found.items() if name != "arguments"}
    return _JOB(value)

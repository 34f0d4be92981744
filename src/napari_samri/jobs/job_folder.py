"""The folder of a job, which its process shares with those that watch it.

``job.json`` says what it is, ``events.jsonl`` holds its events so far, ``log.txt`` what it wrote to
stderr. ``running.lock`` is locked while it lives, which no crash can fake, and a file ``STOP`` asks
it to end; ``pid`` is the number of its process, for the case that it does not.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_samri.codec import integer, read_json
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs.events import line_to_event
from napari_samri.places import user_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_samri.jobs.events import Event

logger = logging.getLogger(__name__)

STATE_VARIABLE = "NAPARI_SAMRI_STATE"
EVENTS, LOCK, STOP, LOG, JOB = "events.jsonl", "running.lock", "STOP", "log.txt", "job.json"
PID = "pid"
_TAIL_BYTES = 2000
_LARGEST_PID = (1 << 31) - 1
_PID_BYTES = 32


def state_dir() -> Path:
    """Return the user's folder of state; ``NAPARI_SAMRI_STATE`` overrides it."""
    return user_folder("state", STATE_VARIABLE)


def jobs_dir() -> Path:
    """Return the folder of jobs that outlive the window."""
    return state_dir() / "jobs"


class EventFile:
    """The events of a file that grows; what is not a whole line yet is left for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read(self) -> Iterator[Event]:
        """Yield what is new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                content = file.read()
        except OSError:  # there are none yet
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            try:
                yield line_to_event(line.decode(errors="replace"))
            except StoreError as error:
                logger.warning("%s: %s", self._path, error)


def is_locked(folder: Path) -> bool:
    """Tell whether a job's process runs."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # gone meanwhile, or not ours to lock
        return False
    lock.release()
    return False


def process_of(folder: Path) -> int | None:
    """Return the number of a job's process, or None if it does not run or is not known."""
    if not is_locked(folder):
        return None  # its number may be another's by now
    with suppress(InputError):  # 0, 1 and what is below stand for others, or for many
        return read_json(folder / PID, integer(2, _LARGEST_PID), _PID_BYTES)
    return None


def seconds_since_asked(folder: Path) -> float | None:
    """Return how long ago a job was asked to stop, or None if it was not."""
    with suppress(OSError):
        return max(0.0, time.time() - (folder / STOP).stat().st_mtime)
    return None


def last_change(folder: Path) -> float:
    """Return when something last happened in a folder, in seconds since 1970; 0 if it is gone."""
    times = [0.0]
    for path in (folder, folder / EVENTS):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def end_of_log(path: Path) -> str:
    """Return the end of a log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""

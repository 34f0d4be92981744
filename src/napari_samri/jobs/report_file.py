"""The process of a job that outlives the window: it holds the lock and writes the events."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_samri.errors import Cancelled, SamriError, StoreError
from napari_samri.jobs.events import Failed, Stopped, event_to_line, is_last
from napari_samri.jobs.job_folder import EVENTS, LOCK, PID, STOP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

    from napari_samri.jobs.events import Event

_LOOK_SECONDS = 0.1
# A look at whether the job runs holds its lock for a moment.
_LOCK_SECONDS = 10.0


class Reporter:
    """Writes a job's events and tells whether it shall stop."""

    def __init__(self, folder: Path, file: FileIO) -> None:
        self._stop = folder / STOP
        self._file = file
        self._looked = -_LOOK_SECONDS
        self._cancelled = False
        self.ended = False

    def cancel(self) -> bool:
        """Tell whether the work shall stop; looks into the folder ten times a second at most."""
        now = time.monotonic()
        if not self._cancelled and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._cancelled = self._stop.exists()
        return self._cancelled

    def tell(self, event: Event) -> None:
        """Append an event, which can be read at once.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        try:
            self._file.write(event_to_line(event).encode())
        except OSError as error:
            message = f"{self._file.name}: cannot be written ({error.strerror or error})."
            raise StoreError(message) from error
        self.ended = self.ended or is_last(event)


@contextmanager
def reporting(folder: Path) -> Iterator[Reporter]:
    """Be the job of a folder: its lock is held inside, and an exception becomes its last event.

    Raises
    ------
    StoreError
        If another process is this job already, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_LOCK_SECONDS)
    except (OSError, Timeout) as error:
        message = (
            f"{folder}: this job cannot begin ({error}). Check that no other process runs it, and "
            "that the folder can be written."
        )
        raise StoreError(message) from error
    try:
        # Without a buffer: each event is there at once, and a full disk fails at its event.
        with (folder / EVENTS).open("ab", buffering=0) as file:
            (folder / PID).write_text(str(os.getpid()))
            reporter = Reporter(folder, file)
            with _telling_errors(reporter):
                yield reporter
    finally:
        lock.release()


@contextmanager
def _telling_errors(reporter: Reporter) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not reporter.ended:
            with suppress(StoreError):  # the disk may be what failed
                reporter.tell(_last_event(error))
        raise


def _last_event(error: BaseException) -> Event:
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return Stopped(text=str(error) or "Stopped.")
    if isinstance(error, SamriError):
        return Failed(text=str(error))
    return Failed(text=f"{type(error).__name__}: {error}. This is a fault of napari-samri.")

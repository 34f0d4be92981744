"""Where a session's masks come from: a process of its own that runs the model."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from napari_samri.jobs import Child
from napari_samri.segment import Cancel, Died, Load, Loaded, job_to_message, message_to_event

if TYPE_CHECKING:
    from napari_samri.jobs import Message
    from napari_samri.segment import Job

WORKER = "napari_samri.segment.worker"


class Engine(Protocol):
    """Takes jobs, gives events; `submit` returns at once.

    Events of `segment.protocol` come in `events`, from any thread; None is the last. Whoever
    else has news for the session's thread may put them there too.
    """

    events: SimpleQueue[Any]

    def submit(self, job: Job) -> None:
        """Take a job. The first one is a `Load`."""

    def close(self) -> None:
        """Stop; puts None into `events`."""


class ProcessEngine:
    """Runs the model in a child process, started by the first job.

    A child that dies (out of memory, a crash in a driver) takes nothing along: a `Died` event
    is put, and the next job starts another child with the model loaded last.
    """

    def __init__(self) -> None:
        self.events: SimpleQueue[Any] = SimpleQueue()
        self._child: Child | None = None
        self._loads: dict[int, Load] = {}  # those that are under way, by job
        self._load: Load | None = None  # the last that succeeded
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the child, if one runs."""
        return self._child.pid if self._child is not None and self._child.alive else None

    def submit(self, job: Job) -> None:
        """Take a job, starting a child if none runs."""
        if self._closed:
            return
        if isinstance(job, Load):
            self._loads[job.job] = job
        if self._child is None or not self._child.alive:
            if isinstance(job, Cancel):
                return
            try:
                self._child = Child(WORKER, self._receive, self._ended)
            except OSError as error:  # no memory, or no processes left
                self.events.put(Died(job=0, code=-1, text=str(error)))
                return
            if self._load is not None and not isinstance(job, Load):
                self._child.send(job_to_message(self._load))
        self._child.send(job_to_message(job))

    def close(self) -> None:
        """End the child. May be called again."""
        if not self._closed:
            self._closed = True
            if self._child is not None:
                self._child.kill()
            self.events.put(None)

    def _receive(self, message: Message) -> None:
        event = message_to_event(message)
        if isinstance(event, Loaded):
            self._load = self._loads.pop(event.job, self._load)
        if not self._closed:
            self.events.put(event)

    def _ended(self, code: int, text: str) -> None:
        if not self._closed:
            last_line = text.splitlines()[-1] if text else ""
            self.events.put(Died(job=0, code=code, text=last_line))

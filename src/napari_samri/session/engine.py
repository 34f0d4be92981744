"""Where a session's masks come from: a process of its own that runs the model."""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from napari_samri.jobs import Child, Message
from napari_samri.segment import CALLS, REPLIES, CancelAll, Load, Loaded

if TYPE_CHECKING:
    from napari_samri.segment import Call

WORKER = "napari_samri.segment.worker"


@dataclass(frozen=True, kw_only=True)
class Died:
    """The model's process ended unasked; no call gets a reply any more."""

    code: int
    text: str


class Engine(Protocol):
    """Takes calls, gives replies; `submit` returns at once.

    Each `Reply`, and `Died`, comes in `events`, from any thread; None is the last. What else is
    for the session's thread may be put there too.
    """

    events: SimpleQueue[Any]

    def submit(self, call: Call) -> None:
        """Take a call. The first one is a `Load`."""

    def close(self) -> None:
        """Stop; puts None into `events`."""


class ProcessEngine:
    """Runs the model in a child process, started by the first call.

    A child that dies (out of memory, a crash in a driver) does no other harm: `Died` is put,
    and the next call starts another child with the model loaded last.
    """

    def __init__(self) -> None:
        self.events: SimpleQueue[Any] = SimpleQueue()
        self._child: Child | None = None
        self._loads: dict[int, Load] = {}  # under way, by number
        self._load: Load | None = None  # the last that succeeded
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the child, if one runs."""
        return self._child.pid if self._child is not None and self._child.alive else None

    def submit(self, call: Call) -> None:
        """Take a call, starting a child if none runs."""
        if self._closed:
            return
        if isinstance(call, Load):
            self._loads[call.number] = call
        if self._child is None or not self._child.alive:
            if isinstance(call, CancelAll):
                return
            try:
                self._child = Child(WORKER, self._receive, self._ended)
            except OSError as error:  # no memory, or no processes left
                self.events.put(Died(code=-1, text=str(error)))
                return
            if self._load is not None and not isinstance(call, Load):
                self._child.send(Message(*CALLS.pack(self._load)))
        self._child.send(Message(*CALLS.pack(call)))

    def close(self) -> None:
        """End the child. May be called again."""
        if not self._closed:
            self._closed = True
            if self._child is not None:
                self._child.kill()
            self.events.put(None)

    def _receive(self, message: Message) -> None:
        reply = REPLIES.unpack(message.head, message.arrays)
        if isinstance(reply.event, Loaded):
            self._load = self._loads.pop(reply.number, self._load)
        if not self._closed:
            self.events.put(reply)

    def _ended(self, code: int, text: str) -> None:
        if not self._closed:
            last_line = text.splitlines()[-1] if text else ""
            self.events.put(Died(code=code, text=last_line))

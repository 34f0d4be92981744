"""The state of a widget that runs one thing at a time in processes of its own. No Qt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_samri._napari.embed_run import Run, Status
from napari_samri.errors import Cancelled, InputError, SamriError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_samri.jobs import Cancel

    # Runs a generator elsewhere: what it yields, that it ended, or what it raised comes back on
    # this thread. Returns a function that ends it early.
    Relay = Callable[
        [Callable[[], Iterator[Any]], Callable[[Any], None], Callable[[Exception], None]],
        Callable[[], None],
    ]


class Background(ABC):
    """At most one run, which is prepared, started, watched and stopped.

    Parameters
    ----------
    relay : callable
        ``relay(steps, took, failed)`` runs a generator function off the window's thread.
    keep : bool
        Whether what runs goes on when this is closed; may be changed at any time.
    """

    changed = Signal(object)  # Status
    busy_text: str
    stopping_text: str

    def __init__(self, relay: Relay, *, keep: bool = True) -> None:
        self._relay = relay
        self.keep = keep
        self._stop = Flag()
        self._quit: Callable[[], None] | None = None
        self._closed = False
        self.status = Status()
        self.run: Run | None = None

    @abstractmethod
    def steps_of(self, request: Any, cancel: Cancel) -> Iterator[Run | Status | None]:
        """Prepare, start and follow a run, off the window's thread; see `following`."""

    @abstractmethod
    def find_runs(self) -> Sequence[Run]:
        """Return all runs of this kind that left a trace, newest first."""

    @abstractmethod
    def run_to_show(self) -> Run | None:
        """Return the run that somebody wants to hear of."""

    def start(self, request: Any) -> None:
        """Begin what is asked for.

        Raises
        ------
        InputError
            If something goes on already.
        """
        if self.status.busy:
            raise InputError(self.busy_text)
        for run in self.find_runs():
            run.forget()  # what runs, in another window, stays
        self._stop = stop = Flag()
        self.run = None
        self._show(Status(phase="preparing", text=request.title))
        self._watch(lambda: self.steps_of(request, stop.is_set))

    def attach(self) -> None:
        """Find a run of another window, or of this one before it was closed."""
        run = None if self.status.busy else self.run_to_show()
        if run is not None:
            self._stop, self.run = Flag(), run
            self._show(Status(phase="running", text=run.title))
            self._watch(run.follow)

    def cancel(self) -> None:
        """Stop soon; nothing of what was done is lost."""
        if not self.status.busy:
            return
        self._stop.set()
        if self.run is not None:
            self._attempt(self.run.cancel)
        if self.status.busy:
            self._show(self._stopping(self.status))

    def close(self) -> None:
        """Let go; what runs goes on or, unless it is to be kept, ends cleanly.

        What is only being prepared ends in any case: nothing was written yet.
        """
        if self._closed:
            return
        self._closed = True
        if not self.keep:
            self._stop.set()
            if self.run is not None and self.status.busy:
                with suppress(StoreError):  # nobody is there any more to be told
                    self.run.cancel()
        if self._quit is not None:
            self._quit()
            self._quit = None

    def _watch(self, steps: Callable[[], Iterator[Any]]) -> None:
        self._quit = self._relay(steps, self._take, self._fail)

    def _take(self, item: Run | Status | None) -> None:
        if self._closed or item is None:
            return
        if isinstance(item, Run):
            self.run = item
            return
        if self.status.phase == "stopping" and item.busy:
            item = self._stopping(item)
        if not item.busy and self.run is not None:
            self.run.mark_seen(item.phase)
        self._show(item)

    def _fail(self, error: Exception) -> None:
        if self._closed:
            return
        phase: Any = "stopped" if isinstance(error, Cancelled) else "failed"
        self._show(Status(phase=phase, text=str(error)))
        if not isinstance(error, SamriError):
            raise error

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except SamriError as error:
            self._fail(error)

    def _stopping(self, status: Status) -> Status:
        return replace(status, phase="stopping", text=self.stopping_text)

    def _show(self, status: Status) -> None:
        self.status = status
        self.changed.emit(status)


def following(run: Run, cancel: Cancel) -> Iterator[Run | Status | None]:
    """Yield a run as soon as it was started, and then how far it is."""
    try:
        yield run
        if not cancel():
            yield from run.follow()
            return
        run.cancel()  # asked for before anybody knew of the run
        yield from run.follow()
    finally:
        if cancel():  # nobody listens any more
            with suppress(StoreError):
                run.cancel()

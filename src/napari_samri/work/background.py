"""At most one run at a time, prepared, started, watched and stopped: the state of a widget."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_samri.atomic import make_folder
from napari_samri.errors import Cancelled, InputError, SamriError, StoreError
from napari_samri.jobs import delete_old_jobs, new_job_folder
from napari_samri.work.run import Run, Status, find_runs, run_to_show, start_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from napari_samri.jobs import Cancel
    from napari_samri.work.task import Task

    # Runs a generator elsewhere: what it yields, that it ended, or what it raised comes back on
    # this thread. Returns a function that ends it early.
    Relay = Callable[
        [Callable[[], Iterator[Any]], Callable[[Any], None], Callable[[Exception], None]],
        Callable[[], None],
    ]
    # Writes the images that a task needs into a job's folder, and returns the task with them.
    Write = Callable[[Path], Task]
    Step = Run | Status | None


class Background:
    """At most one run of some kinds of tasks.

    Parameters
    ----------
    relay : callable
        ``relay(steps, took, failed)`` runs a generator function off the window's thread.
    kinds : tuple of str
        Of tasks whose runs are found again.
    keep : bool
        Whether what runs goes on when this is closed; may be changed at any time.
    """

    changed = Signal(object)  # Status

    def __init__(self, relay: Relay, kinds: tuple[str, ...], *, keep: bool = True) -> None:
        self._relay = relay
        self._kinds = kinds
        self.keep = keep
        self._stop = Flag()
        self._quit: Callable[[], None] | None = None
        self._closed = False
        self._task: Task | None = None
        self.status = Status()
        self.run: Run | None = None

    def start(self, task: Task, write: Write | None = None) -> None:
        """Begin a task.

        Parameters
        ----------
        task : Task
        write : callable, optional
            Is called with a folder, off the window's thread, for what is not on disk yet.

        Raises
        ------
        InputError
            If something goes on already.
        """
        if self.status.busy:
            raise InputError((self._task or task).busy_text)
        for run in find_runs(*self._kinds):
            run.forget()  # what runs, in another window, stays
        self._stop = stop = Flag()
        self.run, self._task = None, task
        self._show(Status(phase="preparing", text=task.title))
        self._watch(lambda: steps_of(task, write, stop.is_set))

    def attach(self) -> None:
        """Find a run of another window, or of this one before it was closed."""
        delete_old_jobs()
        run = None if self.status.busy else run_to_show(*self._kinds)
        if run is not None:
            self._stop, self.run, self._task = Flag(), run, run.task
            self._show(Status(phase="running", text=run.title))
            self._watch(run.follow)

    def cancel(self) -> None:
        """Stop soon; nothing of what was done is lost."""
        if not self.status.busy:
            return
        self._stop.set()
        if self.run is not None:
            try:
                self.run.cancel()
            except SamriError as error:
                self._fail(error)
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

    def _take(self, item: Step) -> None:
        if self._closed or item is None:
            return
        if isinstance(item, Run):
            self.run = item
            return
        if self.status.phase == "stopping" and item.busy:
            item = self._stopping(item)
        if not item.busy and self.run is not None:
            self.run.settle(item.phase)
        self._show(item)

    def _fail(self, error: Exception) -> None:
        if self._closed:
            return
        phase: Any = "stopped" if isinstance(error, Cancelled) else "failed"
        self._show(Status(phase=phase, text=str(error)))
        if not isinstance(error, SamriError):
            raise error

    def _stopping(self, status: Status) -> Status:
        text = self._task.stopping_text if self._task is not None else status.text
        return replace(status, phase="stopping", text=text)

    def _show(self, status: Status) -> None:
        self.status = status
        self.changed.emit(status)


def steps_of(task: Task, write: Write | None, cancel: Cancel) -> Iterator[Step]:
    """Prepare, start and follow a run; yields it as soon as it was started.

    Raises
    ------
    Cancelled
        If `cancel` says so before it was started.
    SamriError
        If what it needs cannot be read or written.
    """
    run = yield from _started(task, write, cancel)
    try:
        yield run
        if cancel():
            run.cancel()  # asked for before anybody knew of the run
        yield from run.follow()
    finally:
        if cancel():  # nobody listens any more
            with suppress(StoreError):
                run.cancel()


def _started(task: Task, write: Write | None, cancel: Cancel) -> Generator[Step, None, Run]:
    folder = new_job_folder()
    try:
        make_folder(folder)
        folder.chmod(0o700)  # what comes may be somebody's image
        if write is not None:
            task = write(folder)
        task.check()
        steps = task.ready(folder, cancel)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                tasks, problems = end.value
                break
            text = f"Reading studies: {step.done:,} of {step.total:,}"
            yield Status(phase="preparing", text=text, done=step.done, total=step.total)
        if cancel():
            message = "Stopped before anything was begun."
            raise Cancelled(message)
        return start_run(tasks, problems=problems, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

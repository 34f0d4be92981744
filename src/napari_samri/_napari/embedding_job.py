"""The state of the Embed widget: what goes on, from a request to an opened bank. No Qt."""

from __future__ import annotations

import shutil
from contextlib import suppress
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_samri._napari.embed_request import EmbedRequest, WarmRequest, ready_manifest
from napari_samri._napari.embed_run import Run, Status, find_runs, run_to_show, start_run
from napari_samri.errors import Cancelled, InputError, SamriError, StoreError
from napari_samri.io.atomic import make_folder
from napari_samri.io.images import save_image
from napari_samri.jobs.detached import new_job_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_samri.jobs.events import Cancel

    # Runs a generator elsewhere: what it yields, that it ended, or what it raised comes back on
    # this thread. Returns a function that ends it early.
    Relay = Callable[
        [Callable[[], Iterator[Any]], Callable[[Any], None], Callable[[Exception], None]],
        Callable[[], None],
    ]

IMAGE_NAME = "volume.nii"


class EmbeddingJob:
    """At most one run, which is prepared, started, watched and stopped.

    Parameters
    ----------
    relay : callable
        ``relay(steps, took, failed)`` runs a generator function off the window's thread.
    keep : bool
        Whether what runs goes on when this is closed; may be changed at any time.
    """

    changed = Signal(object)  # Status

    def __init__(self, relay: Relay, *, keep: bool = True) -> None:
        self._relay = relay
        self.keep = keep
        self._stop = Flag()
        self._quit: Callable[[], None] | None = None
        self._closed = False
        self.status = Status()
        self.run: Run | None = None

    @property
    def bank(self) -> Path | None:
        """The bank that is there to be opened."""
        if self.run is None or self.run.bank is None or self.status.phase != "finished":
            return None
        return self.run.bank

    def start(self, request: EmbedRequest | WarmRequest) -> None:
        """Begin what is asked for.

        Raises
        ------
        InputError
            If something goes on already.
        """
        if self.status.busy:
            message = "something is being embedded already; wait for it, or cancel it."
            raise InputError(message)
        for run in find_runs():
            run.forget()  # what runs, in another window, stays
        self._stop = stop = Flag()
        self.run = None
        self._show(Status(phase="preparing", text=request.title))
        self._watch(lambda: steps_of(request, stop.is_set))

    def attach(self) -> None:
        """Find a run of another window, or of this one before it was closed."""
        run = None if self.status.busy else run_to_show()
        if run is not None:
            self._stop, self.run = Flag(), run
            self._show(Status(phase="running", text=run.title))
            self._watch(run.follow)

    def cancel(self) -> None:
        """Stop within one slice; nothing of what was done is lost."""
        if not self.status.busy:
            return
        self._stop.set()
        if self.run is not None:
            self._attempt(self.run.cancel)
        if self.status.busy:
            self._show(_stopping(self.status))

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
            item = _stopping(item)
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

    def _show(self, status: Status) -> None:
        self.status = status
        self.changed.emit(status)


def steps_of(request: EmbedRequest | WarmRequest, cancel: Cancel) -> Iterator[Run | Status | None]:
    """Prepare, start and follow a run; yields it as soon as it was started.

    Raises
    ------
    Cancelled
        If `cancel` says so before it was started.
    SamriError
        If what it needs cannot be read or written.
    """
    if isinstance(request, EmbedRequest):
        run = yield from _started_embedding(request, cancel)
    else:
        run = _started_warming(request)
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


def _started_embedding(request: EmbedRequest, cancel: Cancel) -> Any:
    steps = ready_manifest(request, cancel)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            manifest, problems = end.value
            break
        text = f"Reading studies: {step.done:,} of {step.total:,}"
        yield Status(phase="preparing", text=text, done=step.done, total=step.total)
    if cancel():
        message = "Stopped before anything was embedded."
        raise Cancelled(message)
    lines = request.arguments(manifest)
    names = {request.out: request.out.name}
    return start_run(request.title, lines, bank=request.out, names=names, problems=problems)


def _started_warming(request: WarmRequest) -> Run:
    if request.file is not None:
        return _warming(request, request.file)
    folder = new_job_folder()
    make_folder(folder)
    folder.chmod(0o700)  # what comes is somebody's image
    try:
        save_image(folder / IMAGE_NAME, request.image)
        return _warming(request, folder / IMAGE_NAME, folder)
    except SamriError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _warming(request: WarmRequest, file: Path, folder: Path | None = None) -> Run:
    names = {file: request.name}
    return start_run(request.title, [request.arguments(file)], names=names, folder=folder)


def _stopping(status: Status) -> Status:
    return Status(
        phase="stopping",
        text="Stopping after the slice that is being embedded",
        done=status.done,
        total=status.total,
        problems=status.problems,
    )

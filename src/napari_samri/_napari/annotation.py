"""A running annotation: engine, session, layers and journal together, from start to close."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from importlib import import_module
from queue import Empty
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from psygnal import Signal

from napari_samri._napari.foreground import Foreground
from napari_samri._napari.layers import (
    SUSPENDED_KEY,
    Suspended,
    kept_journals,
    reference_of,
    show_plane,
    shown_plane,
    suspended_on,
    volume_of,
)
from napari_samri._napari.link import SessionLink
from napari_samri._napari.prompt_layers import NEGATIVE, POSITIVE
from napari_samri.errors import GeometryError, InputError, InputWarning, SamriError
from napari_samri.geometry import Plane, flag, number, table, whole
from napari_samri.prompts import Box, Point
from napari_samri.segment import ModelChoice
from napari_samri.session import (
    Journal,
    ProcessEngine,
    Scheduler,
    discard_journal,
    prepare_save,
    read_saved,
    sweep_journals,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import ArrayLike

    from napari_samri.session import Engine, SaveJob, Session

_POLL_SECONDS = 0.05


_running: WeakKeyDictionary[Any, dict[int, Annotation]] = WeakKeyDictionary()


def annotations_of(viewer: ViewerModel) -> dict[int, Annotation]:
    """Return the open annotations of a viewer, by the id of their image layer."""
    return _running.setdefault(viewer, {})


class Annotation:
    """One image being annotated in a viewer; made by `napari_samri.start_session`.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    image : napari.layers.Image
    labels : napari.layers.Labels, optional
        Labels to go on with; else a new layer is made.
    engine : Engine, optional
        Runs the model; by default a child process.
    ahead : int
        Slices to embed ahead of the one looked at.
    autosave : bool
        Keep a journal, so that a crash loses nothing.

    Raises
    ------
    InputError, GeometryError
        If the image or the labels cannot be used; nothing was added to the viewer.
    """

    ended = Signal(str)  # why, or nothing if it was closed on purpose

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        labels: Labels | None = None,
        *,
        engine: Engine | None = None,
        ahead: int = 8,
        autosave: bool = True,
    ) -> None:
        volume = volume_of(image)
        self._superseded: Path | None = None
        self.viewer = viewer
        self.image = image
        self.engine = engine or ProcessEngine()
        self.scheduler = Scheduler(self.engine, volume, ahead)
        self.recovered = sweep_journals(volume, kept_journals(viewer)) if autosave else None
        self.link = SessionLink(viewer, image, self.scheduler, labels)
        self.canvas = self.link.canvas
        self.session: Session = self.link.session
        self.journal = Journal(volume, self.session.labels, self.engine.events.put)
        if autosave:
            self.session.stepped.connect(self.journal.write)
        if labels is not None:
            self._go_on(labels, autosave)
        foreign = [layer for o in annotations_of(viewer).values() for layer in o.canvas.temporary]
        self.foreground = Foreground(viewer, image, self.canvas.layers, foreign)
        self.closed = False
        self._users = 0
        # Replaced where an event loop delivers the events: waiting then means running it.
        self.pump: Callable[[float], None] = self._pump_queue
        self._error: SamriError | None = None
        self.session.failed.connect(self._remember)
        Thread(target=_import_early, name="import", daemon=True).start()
        self.link.lost.connect(self._lose)
        annotations_of(viewer)[id(image)] = self

    # Scripting

    def use_model(
        self,
        model: str = "starter",
        *,
        device: str = "auto",
        family: str | None = None,
        memory_mb: int = 1024,
    ) -> None:
        """Load a model, by id or by path; `wait` until it is there."""
        choice = ModelChoice(
            model=str(model),
            device=str(device),
            family=family,
            memory_mb=whole(memory_mb, "memory_mb"),
        )
        self.scheduler.load(choice)

    def go_to(self, index: int, axis: int = 0, time_point: int | None = None) -> None:
        """Show a slice of the image, in display order, in the viewer."""
        plane = Plane(axis, index, time_point)
        plane.check(self.session.volume)
        show_plane(self.viewer, self.image, plane)
        shown = shown_plane(self.viewer, self.image)
        if shown != plane and self.image.ndim > 2:
            message = (
                f"slice {index} along axis {axis} is out of reach of the viewer, which shows "
                f"{shown}: '{self.image.name}' is turned in it. Reset the image's transform."
            )
            raise GeometryError(message)

    def add_box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a box on the slice shown: first and last pixel (x, y)."""
        self._draw("boxes", Box(*_as_drawn(x0, y0, x1, y1)))

    def add_point(self, x: float, y: float, *, positive: bool = True) -> None:
        """Draw a point on the slice shown."""
        self._draw("points", _point(x, y, flag(positive, "positive")))

    def add_points(self, points_xy: ArrayLike, sign: str = POSITIVE) -> None:
        """Draw points of one sign, ``positive`` or ``negative``, as one step.

        Parameters
        ----------
        points_xy : array-like (N, 2) or data frame with the columns x and y
        sign : str
        """
        if not isinstance(sign, str) or sign not in {POSITIVE, NEGATIVE}:
            message = f"the sign is {sign!r}; expected '{POSITIVE}' or '{NEGATIVE}'."
            raise InputError(message)
        places = table(points_xy, ("x", "y"), "the points").tolist()
        self._draw("points", *(_point(x, y, sign == POSITIVE) for x, y in places))

    def wait(self, timeout: float = 120) -> None:
        """Wait until models are loaded and prompts are answered.

        Raises
        ------
        SamriError
            If something went wrong in the meantime, or it took too long.
        """
        timeout = number(timeout, "the timeout")
        end = time.monotonic() + timeout
        while self.scheduler.busy and not self.closed:
            if time.monotonic() > end:
                message = f"no answer within {timeout:g} s; cancel, or wait longer."
                raise SamriError(message)
            self.pump(_POLL_SECONDS)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def save(self, path: Path | str) -> None:
        """Write the labels as NIfTI on the image's grid, with a record next to them.

        The grid is that of the image's file, wherever the image was moved to in the viewer. If
        the record cannot be written, the labels are, and an InputWarning says so.

        Raises
        ------
        InputError, StoreError
            If they cannot be written; an existing file is left as it was.
        """
        job = self.prepare_save(path)
        if problem := job.run():
            warnings.warn(problem, InputWarning, stacklevel=2)
        self.mark_saved(job)

    # What a window needs

    def receive(self, event: Any) -> None:
        """Take an item of the engine's queue."""
        if isinstance(event, SamriError):
            self.session.failed.emit(event)
        elif event is not None:
            self.scheduler.receive(event)

    def prepare_save(self, path: Path | str) -> SaveJob:
        """Take a copy of the labels as the layer has them, to be written to `path`.

        Raises
        ------
        InputError
            As `session.prepare_save`.
        """
        self.link.read_labels()
        return prepare_save(self.session, path)

    def mark_saved(self, job: SaveJob) -> None:
        """Record that a job has run."""
        self.session.saved_revision = job.revision
        if not self.session.unsaved:
            self.journal.mark_saved()
        self.session.changed.emit()

    def restore(self) -> None:
        """Take up the work that a crash left behind; it can be undone."""
        if self.recovered is None:
            message = "there is no unsaved work to restore."
            raise InputError(message)
        self.session.restore(self.recovered)
        self.journal.flush()
        self.forget_recovered()

    def forget_recovered(self) -> None:
        """Delete the work that a crash left behind."""
        if self.recovered is not None:
            self.recovered.discard()
            self.recovered = None

    def retain(self) -> None:
        """Register a user, such as a widget; each of them has to `release` the annotation."""
        self._users += 1

    def release(self) -> None:
        """Unregister a user; the last one to go closes the annotation."""
        self._users -= 1
        if self._users <= 0:
            self.close()

    def close(self, reason: str = "") -> None:
        """End it; labels stay in the viewer, unsaved work stays in the journal."""
        if not self.closed:
            self.closed = True
            self.ended.emit(reason)
            self._suspend()
            self.link.close()
            self.foreground.close()
            self.session.stepped.disconnect(self.journal.write, missing_ok=True)
            self.journal.close(keep=self.session.unsaved)
            annotations_of(self.viewer).pop(id(self.image), None)

    def _draw(self, kind: str, *items: Box | Point) -> None:
        """Add prompts of a kind to those on the slice shown."""
        plane = self.session.plane
        if plane is None:
            message = "no slice is shown; switch the viewer to 2D, or use go_to."
            raise InputError(message)
        known = self.session.document.prompts(plane)
        self.session.set_prompts(replace(known, **{kind: (*getattr(known, kind), *items)}))

    def _lose(self, layer: str) -> None:
        self.close(
            f"The session ended, since its layer '{layer}' was removed. What was not saved is "
            "offered again when a session on the image begins."
        )

    def _go_on(self, labels: Labels, autosave: bool) -> None:
        """Restore what an earlier session on these labels, or the record of their file, knew."""
        left = suspended_on(labels)
        if left is not None:
            del labels.metadata[SUSPENDED_KEY]
            self.session.resume(left.document, unsaved=left.unsaved)
            self._superseded = left.journal if autosave else None
            return
        reference = reference_of(labels.metadata)
        if reference is None or reference.grid.path is None:
            return
        try:
            saved = read_saved(reference.grid.path)
        except InputError as error:
            self.engine.events.put(error)
            return
        if saved is not None:
            self.session.resume(saved)

    def _suspend(self) -> None:
        """Leave prompts, names and locks with the labels, for a later session on them."""
        left = Suspended(self.session.document, self.session.unsaved, self.journal.path)
        self.canvas.labels.metadata[SUSPENDED_KEY] = left
        if self._superseded is not None:
            discard_journal(self._superseded)

    def _remember(self, error: SamriError) -> None:
        self._error = error

    def _pump_queue(self, seconds: float) -> None:
        try:
            self.receive(self.engine.events.get(timeout=seconds))
        except Empty:
            return


def _import_early() -> None:
    """Import what the first scribble or re-opened object needs, before anyone waits for it."""
    for name in ("skimage.measure", "scipy.ndimage"):
        import_module(name)


def _as_drawn(*values: float) -> tuple[float, ...]:
    """Return coordinates as napari's layers keep them, in single precision."""
    return tuple(float(np.float32(number(value, "a coordinate"))) for value in values)


def _point(x: float, y: float, positive: bool) -> Point:
    x, y = _as_drawn(x, y)
    return Point(x, y, positive)

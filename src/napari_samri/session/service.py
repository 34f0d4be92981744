"""Slices and requests turned into jobs for an engine, and its events into answers.

The slice that is looked at is embedded first, then its neighbours one by one, so that whatever
is asked for next never waits behind more than one slice, and that one is interrupted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_samri.errors import ModelError
from napari_samri.geometry import percentile_window
from napari_samri.segment import (
    DEFAULT_MODEL,
    Answered,
    Cancel,
    Died,
    Dropped,
    Encode,
    Encoded,
    Event,
    Failed,
    Load,
    Loaded,
    ModelChoice,
    ModelInfo,
    Predict,
    Progress,
)
from napari_samri.session.ahead import slices_ahead
from napari_samri.session.request import Preview, Request

if TYPE_CHECKING:
    from napari_samri.geometry import Plane, Volume, Window
    from napari_samri.session.engine import Engine


@dataclass(frozen=True)
class Activity:
    """What goes on, for a progress bar; `total` is 0 if nobody knows how much there is."""

    text: str
    done: float = 0
    total: float = 0


@dataclass(frozen=True, eq=False)
class _WindowFound:
    """The intensity window of a volume, from the thread that looked for it."""

    volume: Volume
    window: Window


class MaskService:
    """Answers requests; all methods and signals belong to one thread.

    Parameters
    ----------
    engine : Engine
        Its events have to be passed to `receive`.
    volume : Volume
    ahead : int
        How many slices to embed ahead.
    """

    loaded = Signal(object)  # ModelInfo
    answered = Signal(object)  # Preview
    failed = Signal(object)  # SamriError
    activity = Signal(object)  # Activity, or None at rest

    def __init__(self, engine: Engine, volume: Volume, ahead: int = 8) -> None:
        self.engine = engine
        self.volume = volume
        self.ahead = ahead
        self.info: ModelInfo | None = None
        self.choice = DEFAULT_MODEL
        self._jobs = 0
        self._views = 0
        self._loading: dict[int, ModelChoice] = {}
        self._loads: dict[int, ModelChoice] = {}  # all there were, also those cancelled too late
        self._view: tuple[int, Plane] | None = None
        self._asked: tuple[int, Request] | None = None
        self._plan: deque[Plane] = deque()  # to be embedded ahead; a new one for each view
        self._ahead: tuple[int, Plane, deque[Plane]] | None = None  # under way, and its plan
        self._window: Window | None = None
        self._window_sought = False

    @property
    def busy(self) -> bool:
        """Whether an answer or a model is awaited."""
        return self._asked is not None or bool(self._loading)

    def awaits(self, request: Request) -> bool:
        """Whether the answer to this request is on its way."""
        return self._asked is not None and self._asked[1] == request

    def load(self, choice: ModelChoice) -> None:
        """Load a model; if that fails, the one that runs stays."""
        job = self._next()
        self._loading[job] = self._loads[job] = choice
        self._show_rest()
        self.engine.submit(Load(job=job, choice=choice))

    def look_at(self, plane: Plane) -> None:
        """Embed a slice, then its neighbours in the direction of scrolling.

        What was asked of the slice looked at before is dropped.
        """
        self.forget()
        last = self._view[1] if self._view is not None else None
        size = self.volume.spatial_shape[plane.axis]
        self._plan = deque(slices_ahead(plane, last, size, self.ahead))
        self._encode(plane)

    def _encode(self, plane: Plane) -> None:
        self._views += 1
        job = self._next()
        self._view = (job, plane)
        if self._ready():
            self.engine.submit(
                Encode(
                    job=job,
                    pixels=self._pixels(plane),
                    view=self._views,
                    window=self._window,
                    urgent=True,
                )
            )

    def ask(self, request: Request) -> None:
        """Answer a request; an earlier one that waits is dropped, and the same one goes on.

        Raises
        ------
        InputError
            If its prompts are empty or lie outside the slice.
        """
        if self.awaits(request):
            return  # to begin anew would take longer
        prompts = request.objects()
        job = self._next()
        self._asked = (job, request)
        if self._ready():
            self.engine.submit(
                Predict(
                    job=job,
                    pixels=self._pixels(request.plane),
                    prompts=prompts,
                    view=self._views,
                    window=self._window,
                    multimask=request.multimask,
                    post=request.post,
                )
            )

    def forget(self) -> None:
        """Drop the request that waits for an answer, if any."""
        self._asked = None

    def change_image(self, volume: Volume) -> None:
        """Go on with other voxels; what was asked of the old ones is dropped."""
        self.volume = volume
        self._window, self._window_sought = None, False
        self.forget()
        if self._view is not None:
            self.look_at(self._view[1])

    def cancel(self) -> None:
        """Stop loading, encoding and embedding ahead; whatever still comes of it is late."""
        self._plan.clear()
        self._loading.clear()
        self._asked = self._ahead = None
        self.engine.submit(Cancel(job=self._next()))
        self._show_rest()

    def receive(self, event: Event | _WindowFound | None) -> None:
        """Take an event of the engine."""
        match event:
            case Loaded():
                self._take_model(event)
            case Answered():
                self._take_answer(event)
            case Progress():
                self._show_progress(event)
            case Encoded() | Dropped() | Failed():
                self._finish(event)
            case Died():
                self._bury(event)
            case _WindowFound():
                self._take_window(event)

    def _next(self) -> int:
        self._jobs += 1
        return self._jobs

    def _pixels(self, plane: Plane) -> np.ndarray:
        return np.asarray(plane.extract(self.volume))

    def _ready(self) -> bool:
        """Tell whether jobs on slices can be made; if the window is missing, look for it."""
        if self.info is None or not self.info.needs_window or self._window is not None:
            return True
        if not self._window_sought:
            self._window_sought = True
            Thread(target=self._find_window, args=(self.volume,), daemon=True).start()
        return False

    def _find_window(self, volume: Volume) -> None:
        # A sort of all voxels, which would stop the window's redrawing for a second.
        window = percentile_window(np.asarray(volume.array))
        self.engine.events.put(_WindowFound(volume, window))

    def _take_window(self, event: _WindowFound) -> None:
        if event.volume is self.volume:
            self._window = event.window
            self._repeat()

    def _repeat(self) -> None:
        """Submit anew what is looked at and asked for."""
        asked, self._asked = self._asked, None
        if self._view is not None:
            self._encode(self._view[1])
        if asked is not None:
            self.ask(asked[1])

    def _take_model(self, event: Loaded) -> None:
        self._loading.pop(event.job, None)
        self.choice = self._loads[event.job]
        self.info = event.info
        self._show_rest()
        self._repeat()
        self.loaded.emit(event.info)

    def _take_answer(self, event: Answered) -> None:
        if self._asked is None or event.job != self._asked[0]:
            self._show_rest()
            self._embed_ahead()
            return  # late
        request = self._asked[1]
        self._asked = None
        self._show_rest()
        self._embed_ahead()
        self.answered.emit(Preview.answered(request, event.masks, event.scores))

    def _show_progress(self, event: Progress) -> None:
        if self._ahead is not None and event.job == self._ahead[0]:
            text = f"Embedding ahead, {len(self._plan) + 1} to go"
        elif event.what == "downloading":
            text = "Downloading the model"
        else:
            text = "Encoding the slice"
        self.activity.emit(Activity(text, event.done, event.total))

    def _show_rest(self) -> None:
        """Show what goes on beside a job that is done: a model that loads, or nothing."""
        newest = next(reversed(self._loading.values()), None)
        self.activity.emit(Activity(f"Loading {newest.model}") if newest is not None else None)

    def _finish(self, event: Encoded | Dropped | Failed) -> None:
        awaited = self._loading.pop(event.job, None) is not None
        if self._asked is not None and event.job == self._asked[0]:
            self._asked, awaited = None, True
        if self._ahead is not None and event.job == self._ahead[0]:
            _, plane, plan = self._ahead
            if isinstance(event, Dropped) and plan is self._plan:  # interrupted by a prompt
                plan.appendleft(plane)
            self._ahead = None
        self._show_rest()
        # A slice that cannot be embedded, such as an empty one, is told of when it is asked for.
        if isinstance(event, Failed) and awaited:
            self.failed.emit(event.error())
        self._embed_ahead(after=event)

    def _embed_ahead(self, after: Event | None = None) -> None:
        """Embed the next slice of the plan, unless something is under way."""
        if self._ahead is not None or not self._plan or self.busy or not self._ready():
            return
        if isinstance(after, Dropped):
            return  # by something that is still to come, and that will be followed by this
        plane = self._plan.popleft()
        self._ahead = (self._next(), plane, self._plan)
        self.engine.submit(
            Encode(job=self._ahead[0], pixels=self._pixels(plane), window=self._window)
        )

    def _bury(self, event: Died) -> None:
        self._asked = self._ahead = None
        self._loading.clear()
        self._plan.clear()
        self._show_rest()
        reason = f" ({event.text})" if event.text else ""
        message = (
            f"the model's process ended unexpectedly with code {event.code}{reason}"
            f"{'; it may have run out of memory' if event.code < 0 else ''}. Labels and prompts "
            "are kept; the next prompt starts it again."
        )
        self.failed.emit(ModelError(message))

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
from napari_samri.geometry.intensity import percentile_window
from napari_samri.segment.protocol import (
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
    from napari_samri.geometry import Plane, Volume
    from napari_samri.geometry.intensity import Window
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
        self._loading: tuple[int, ModelChoice] | None = None
        self._view: tuple[int, Plane] | None = None
        self._asked: tuple[int, Request] | None = None
        self._ahead: tuple[int, Plane] | None = None
        self._plan: deque[Plane] = deque()
        self._window: Window | None = None
        self._window_sought = False

    @property
    def busy(self) -> bool:
        """Whether an answer or a model is awaited."""
        return self._asked is not None or self._loading is not None

    def load(self, choice: ModelChoice) -> None:
        """Load a model; if that fails, the one that runs stays."""
        job = self._next()
        self._loading = (job, choice)
        self.activity.emit(Activity(f"Loading {choice.model}"))
        self.engine.submit(Load(job=job, choice=choice))

    def look_at(self, plane: Plane) -> None:
        """Embed a slice, then its neighbours in the direction of scrolling."""
        last = self._view[1] if self._view is not None else None
        size = self.volume.spatial_shape[plane.axis]
        self._plan = deque(slices_ahead(plane, last, size, self.ahead))
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
        """Answer a request; an earlier one that waits is dropped.

        Raises
        ------
        InputError
            If its prompts are empty or lie outside the slice.
        """
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
        """Stop loading, encoding and embedding ahead."""
        self._plan.clear()
        self._ahead = None
        self.engine.submit(Cancel(job=self._next()))

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
        asked = self._asked
        if self._view is not None:
            self.look_at(self._view[1])
        if asked is not None:
            self.ask(asked[1])

    def _take_model(self, event: Loaded) -> None:
        if self._loading is not None and event.job == self._loading[0]:
            self.choice = self._loading[1]
            self._loading = None
        self.info = event.info
        self.activity.emit(None)
        self._repeat()
        self.loaded.emit(event.info)

    def _take_answer(self, event: Answered) -> None:
        if self._asked is None or event.job != self._asked[0]:
            return  # late
        request = self._asked[1]
        self._asked = None
        self.activity.emit(None)
        self._embed_ahead()
        # Of single masks there is one; of candidates, the model's own favourite comes first.
        self.answered.emit(
            Preview(request, event.masks, event.scores, int(np.argmax(event.scores)))
        )

    def _show_progress(self, event: Progress) -> None:
        if self._ahead is not None and event.job == self._ahead[0]:
            text = f"Embedding ahead, {len(self._plan) + 1} to go"
        elif event.what == "downloading":
            text = "Downloading the model"
        else:
            text = "Encoding the slice"
        self.activity.emit(Activity(text, event.done, event.total))

    def _finish(self, event: Encoded | Dropped | Failed) -> None:
        awaited = False
        if self._loading is not None and event.job == self._loading[0]:
            self._loading, awaited = None, True
        if self._asked is not None and event.job == self._asked[0]:
            self._asked, awaited = None, True
        if self._ahead is not None and event.job == self._ahead[0]:
            if isinstance(event, Dropped):  # interrupted by something urgent
                self._plan.appendleft(self._ahead[1])
            self._ahead = None
        self.activity.emit(None)
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
        self._ahead = (self._next(), plane)
        self.engine.submit(
            Encode(job=self._ahead[0], pixels=self._pixels(plane), window=self._window)
        )

    def _bury(self, event: Died) -> None:
        self._loading = self._asked = self._ahead = None
        self._plan.clear()
        self.activity.emit(None)
        reason = f" ({event.text})" if event.text else ""
        message = (
            f"the model's process ended unexpectedly with code {event.code}{reason}; it may have "
            "run out of memory. Labels and prompts are kept; the next prompt starts it again."
        )
        self.failed.emit(ModelError(message))

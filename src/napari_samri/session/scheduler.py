"""Slices and requests turned into calls for an engine, and its replies into previews.

An answer to a request that is no longer the one wanted is dropped. The slice in view is embedded
first, then its neighbours one by one, so that a request never waits behind more than one slice,
and that one is interrupted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_samri.errors import ModelError
from napari_samri.geometry import percentile_window
from napari_samri.jobs import Failed, Progressed, Stopped
from napari_samri.segment import (
    DEFAULT_MODEL,
    Answered,
    CancelAll,
    Encode,
    Encoded,
    Load,
    Loaded,
    ModelChoice,
    ModelInfo,
    Predict,
    Reply,
)
from napari_samri.session.engine import Died
from napari_samri.session.proposal import Preview, Request

if TYPE_CHECKING:
    from napari_samri.geometry import Plane, Volume, Window
    from napari_samri.session.engine import Engine

# Of four slices ahead in the direction of scrolling, one behind.
_BEHIND_EVERY = 4


@dataclass(frozen=True, eq=False)
class _WindowFound:
    """The intensity window of a volume, from the thread that looked for it."""

    volume: Volume
    window: Window


class Scheduler:
    """Answers requests; all methods and signals belong to one thread.

    Parameters
    ----------
    engine : Engine
        What comes in its `events` has to be passed to `receive`.
    volume : Volume
    ahead : int
        How many slices to embed ahead.
    """

    loaded = Signal(object)  # ModelInfo
    previewed = Signal(object)  # Preview, or None
    answered = Signal(object)  # Preview that a model has just made, and that is shown already
    failed = Signal(object)  # SamriError
    activity = Signal(object)  # Progressed, or None when idle

    def __init__(self, engine: Engine, volume: Volume, ahead: int = 8) -> None:
        self.engine = engine
        self.volume = volume
        self.ahead = ahead
        self.info: ModelInfo | None = None
        self.choice = DEFAULT_MODEL
        self.preview: Preview | None = None
        self._calls = 0
        self._views = 0
        self._loading: dict[int, ModelChoice] = {}
        self._loads: dict[int, ModelChoice] = {}  # all so far, also those cancelled too late
        self._view: tuple[int, Plane] | None = None
        self._wanted: Request | None = None
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
        number = self._next()
        self._loading[number] = self._loads[number] = choice
        self._show_rest()
        self.engine.submit(Load(number=number, choice=choice))

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
        number = self._next()
        self._view = (number, plane)
        if self._ready():
            self.engine.submit(
                Encode(
                    number=number,
                    pixels=self._pixels(plane),
                    view=self._views,
                    window=self._window,
                    urgent=True,
                )
            )

    def follow(self, request: Request | None, *, ask: bool = True) -> None:
        """Show the mask of a request, and none of another plane; ask for it if it is not known.

        Parameters
        ----------
        request : Request or None
            None, or one with nothing to go by, forgets what was asked and shown.
        ask : bool
            Whether to ask the model too; an object that was re-opened needs none.

        Raises
        ------
        InputError
            If its prompts lie outside the slice.
        """
        self._wanted = request
        if request is None or not request.can_be_asked:
            self.forget()
            self.show(None)
            return
        if self.preview is not None and self.preview.request.plane != request.plane:
            self.show(None)
        if ask or request.is_uncorrected:
            self.obtain(request)

    def obtain(self, request: Request) -> Preview | None:
        """Return the mask of a request if it is known; else ask for it.

        Raises
        ------
        InputError
            If its prompts are empty or lie outside the slice.
        """
        if self.preview is None or self.preview.request != request:
            self.ask(request)
        known = self.preview is not None and self.preview.request == request
        return self.preview if known else None

    def show(self, preview: Preview | None) -> None:
        """Let this be the mask that is previewed."""
        if preview is not self.preview:
            self.preview = preview
            self.previewed.emit(preview)

    def ask(self, request: Request) -> None:
        """Answer a request; an earlier one that waits is dropped, unless it is the same.

        Raises
        ------
        InputError
            If its prompts are empty or lie outside the slice.
        """
        if self.awaits(request):
            return  # starting again would take longer
        if request.is_uncorrected:
            self.forget()
            self.show(Preview.uncorrected(request))
            return
        prompts = request.objects()
        self._wanted = request
        number = self._next()
        self._asked = (number, request)
        if self._ready():
            self.engine.submit(
                Predict(
                    number=number,
                    pixels=self._pixels(request.plane),
                    prompts=prompts,
                    view=self._views,
                    window=self._window,
                    multimask=request.options.multimask,
                    post=request.options.post,
                )
            )

    def forget(self) -> None:
        """Drop the request that waits for an answer, if any."""
        self._asked = None

    def close(self) -> None:
        """Stop the engine; an answer that still comes is late."""
        self.forget()
        self.engine.close()

    def change_image(self, volume: Volume) -> None:
        """Go on with other voxels; what was asked of the old ones is dropped."""
        self.volume = volume
        self._window, self._window_sought = None, False
        self.forget()
        if self._view is not None:
            self.look_at(self._view[1])

    def cancel(self) -> None:
        """Stop loading, encoding and embedding ahead; answers that still come are late."""
        self._plan.clear()
        self._loading.clear()
        self._asked = self._ahead = None
        self.engine.submit(CancelAll(number=self._next()))
        self._show_rest()

    def receive(self, item: Reply | Died | _WindowFound | None) -> None:
        """Take an item of the engine's queue."""
        match item:
            case Reply(number, Loaded(info=info)):
                self._take_model(number, info)
            case Reply(number, Answered() as answer):
                self._take_answer(number, answer)
            case Reply(number, Progressed() as event):
                self._show_progress(number, event)
            case Reply(number, Encoded() | Stopped() | Failed() as event):
                self._finish(number, event)
            case Died():
                self._take_death(item)
            case _WindowFound():
                self._take_window(item)

    def _next(self) -> int:
        self._calls += 1
        return self._calls

    def _pixels(self, plane: Plane) -> np.ndarray:
        return np.asarray(plane.extract(self.volume))

    def _ready(self) -> bool:
        """Tell whether calls on slices can be made; if the window is missing, look for it."""
        if self.info is None or not self.info.needs_window or self._window is not None:
            return True
        if not self._window_sought:
            self._window_sought = True
            Thread(target=self._find_window, args=(self.volume,), daemon=True).start()
        return False

    def _find_window(self, volume: Volume) -> None:
        # It sorts all voxels, which would freeze the window for a second.
        window = percentile_window(np.asarray(volume.array))
        self.engine.events.put(_WindowFound(volume, window))

    def _take_window(self, event: _WindowFound) -> None:
        if event.volume is self.volume:
            self._window = event.window
            self._repeat()

    def _repeat(self) -> None:
        """Submit again what is looked at and asked for."""
        asked, self._asked = self._asked, None
        if self._view is not None:
            self._encode(self._view[1])
        if asked is not None:
            self.ask(asked[1])

    def _take_model(self, number: int, info: ModelInfo) -> None:
        self._loading.pop(number, None)
        self.choice = self._loads[number]
        self.info = info
        self._show_rest()
        self._repeat()
        self.loaded.emit(info)

    def _take_answer(self, number: int, answer: Answered) -> None:
        request = None
        if self._asked is not None and number == self._asked[0]:
            request, self._asked = self._asked[1], None
        self._show_rest()
        self._embed_ahead()
        if request is not None and request == self._wanted:  # else it is late
            preview = Preview.answered(request, answer.masks, answer.scores)
            self.show(preview)
            self.answered.emit(preview)

    def _show_progress(self, number: int, event: Progressed) -> None:
        if self._ahead is not None and number == self._ahead[0]:
            text = f"Embedding ahead, {len(self._plan) + 1} to go"
        elif event.what == "downloading":
            text = "Downloading the model"
        else:
            text = "Encoding the slice"
        self.activity.emit(replace(event, what=text))

    def _show_rest(self) -> None:
        """Show what is still under way after a call has ended: a model that loads, or nothing."""
        newest = next(reversed(self._loading.values()), None)
        self.activity.emit(None if newest is None else Progressed(what=f"Loading {newest.model}"))

    def _finish(self, number: int, event: Encoded | Stopped | Failed) -> None:
        awaited = self._loading.pop(number, None) is not None
        if self._asked is not None and number == self._asked[0]:
            self._asked, awaited = None, True
        if self._ahead is not None and number == self._ahead[0]:
            _, plane, plan = self._ahead
            if isinstance(event, Stopped) and plan is self._plan:  # interrupted by a prompt
                plan.appendleft(plane)
            self._ahead = None
        self._show_rest()
        # A slice that cannot be embedded, such as an empty one, is reported when a prompt needs it.
        if isinstance(event, Failed) and awaited:
            self.failed.emit(event.as_error())
        self._embed_ahead(interrupted=isinstance(event, Stopped))

    def _embed_ahead(self, *, interrupted: bool = False) -> None:
        """Embed the next slice of the plan, unless something is under way."""
        if self._ahead is not None or not self._plan or self.busy or not self._ready():
            return
        if interrupted:
            return  # by a prompt or another slice, after which this is called again
        plane = self._plan.popleft()
        self._ahead = (self._next(), plane, self._plan)
        self.engine.submit(
            Encode(number=self._ahead[0], pixels=self._pixels(plane), window=self._window)
        )

    def _take_death(self, event: Died) -> None:
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


def slices_ahead(plane: Plane, last: Plane | None, size: int, count: int) -> tuple[Plane, ...]:
    """Return the neighbours of a slice that will probably be looked at next, nearest first.

    Parameters
    ----------
    plane : Plane
        Looked at now.
    last : Plane or None
        Looked at before; the difference is the direction of scrolling, forward without one.
    size : int
        Number of slices along the axis.
    count : int
        How many slices at most.
    """
    comparable = last is not None and (last.axis, last.time) == (plane.axis, plane.time)
    direction = -1 if comparable and last is not None and last.index > plane.index else 1
    ahead = list(range(plane.index + direction, size if direction > 0 else -1, direction))
    behind = list(range(plane.index - direction, -1 if direction > 0 else size, -direction))
    order: list[int] = []
    while (ahead or behind) and len(order) < count:
        turn_back = behind and (not ahead or len(order) % (_BEHIND_EVERY + 1) == _BEHIND_EVERY)
        order.append((behind if turn_back else ahead).pop(0))
    return tuple(replace(plane, index=index) for index in order)

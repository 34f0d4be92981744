"""The model's process: ``python -m napari_samri.segment.worker``, driven by `protocol`.

Three threads: one reads calls, one encodes, one decodes. A click on an embedded slice is thus
answered while the encoder works on another one, and a slice that is asked for interrupts one
that was only embedded ahead.
"""

from __future__ import annotations

import itertools
import time
import traceback
import warnings
from queue import PriorityQueue, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

from napari_samri.errors import Cancelled, InputWarning, SamriError
from napari_samri.jobs import Failed, Message, Progressed, Stopped, serve
from napari_samri.segment.protocol import (
    CALLS,
    REPLIES,
    Call,
    CancelAll,
    Encode,
    Encoded,
    Load,
    Loaded,
    ModelInfo,
    Predict,
    Reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_samri.embeddings import Embedding
    from napari_samri.segment.answers import Answerer

_REPORT_SECONDS = 0.1
_STEPS = 1000  # of the way through the encoder
_LOAD, _URGENT, _AHEAD = range(3)
# A click's products are small: more threads than these wait for each other longer than they work.
_CLICK_THREADS = 4


class Worker:
    """Does what it is called for, and replies.

    Parameters
    ----------
    tell : callable
        Called with each `Reply`, from any thread.
    """

    def __init__(self, tell: Callable[[Reply], None]) -> None:
        self._tell = tell
        self._answerer: Answerer | None = None
        self._to_encode: PriorityQueue[tuple[int, int, Call]] = PriorityQueue()
        self._to_decode: SimpleQueue[tuple[Predict, Embedding | None]] = SimpleQueue()
        self._order = itertools.count()
        self._newest = 0  # number of the newest Predict
        self._view = 0  # the newest view
        self._limit = 0  # calls up to this number are cancelled
        self._pressing = 0  # calls that wait and are more than slices embedded ahead
        self._lock = Lock()
        Thread(target=self._run, args=(self._encode_next,), daemon=True).start()
        Thread(target=self._run, args=(self._decode_next,), daemon=True).start()

    def accept(self, call: Call) -> None:
        """Take a call; returns at once."""
        match call:
            case CancelAll():
                self._limit = call.number
            case Load():
                self._enqueue(call, _LOAD)
            case Encode(urgent=False):
                self._enqueue(call, _AHEAD)
            case Encode():
                self._view = max(self._view, call.view)
                self._enqueue(call, _URGENT)
            case Predict():
                self._view = max(self._view, call.view)
                self._newest = call.number
                self._to_decode.put((call, None))

    def _enqueue(self, call: Call, priority: int) -> None:
        with self._lock:
            self._pressing += priority < _AHEAD
        self._to_encode.put((priority, next(self._order), call))

    def _run(self, step: Callable[[], None]) -> None:
        while True:
            step()

    def _encode_next(self) -> None:
        priority, _, call = self._to_encode.get()
        with self._lock:
            self._pressing -= priority < _AHEAD
        with _Reported(call, self._tell):
            if isinstance(call, Load):
                self._load(call)
            elif isinstance(call, Predict):
                self._check_wanted(call)
                self._to_decode.put((call, self._embed(call)))
            elif isinstance(call, Encode):
                self._check_wanted(call)
                self._embed(call)
                self._tell(Reply(call.number, Encoded()))

    def _decode_next(self) -> None:
        call, embedding = self._to_decode.get()
        with _Reported(call, self._tell):
            self._check_wanted(call)
            answerer = self._answerer  # another one may come meanwhile
            if answerer is not None and embedding is None:
                embedding = answerer.predictor.cached(call.pixels, window=call.window)
            if answerer is None or embedding is None:
                self._enqueue(call, _URGENT)
                return
            self._bound_threads(_CLICK_THREADS)
            answer = answerer(embedding, call.prompts, multimask=call.multimask, post=call.post)
            self._tell(Reply(call.number, answer))

    def _bound_threads(self, most: int | None = None) -> None:
        from napari_samri.models import bound_threads  # torch, which is loaded late

        bound_threads(most)

    def _check_wanted(self, call: Call) -> None:
        match call:
            case Predict():
                stale = call.number < self._newest or call.view < self._view
            case Encode(urgent=True):
                stale = call.view < self._view
            case Encode():
                stale = self._pressing > 0
            case _:
                stale = False
        if stale or call.number <= self._limit:
            raise Cancelled

    def _embed(self, call: Encode | Predict) -> Embedding:
        last = time.monotonic()

        def checkpoint(share: float) -> None:
            nonlocal last
            self._check_wanted(call)
            if time.monotonic() - last > _REPORT_SECONDS:
                last = time.monotonic()
                done = round(share * _STEPS)
                self._tell(Reply(call.number, Progressed(done=done, total=_STEPS, what="encoding")))

        if self._answerer is None:
            message = "no model is loaded, so the slice cannot be embedded; choose a model."
            raise SamriError(message)
        embed = self._answerer.predictor.embed
        return embed(call.pixels, window=call.window, checkpoint=checkpoint)

    def _load(self, call: Load) -> None:
        # Here and not above: torch takes seconds, in which jobs are already read.
        from napari_samri.embeddings import user_cache
        from napari_samri.segment.answers import Answerer
        from napari_samri.segment.predictor import load_predictor

        def downloaded(done: int, total: int) -> None:
            self._check_wanted(call)
            self._tell(Reply(call.number, Progressed(done=done, total=total, what="downloading")))

        self._bound_threads()  # of the encoder: it runs on this thread too
        choice = call.choice
        cache = user_cache(memory_bytes=choice.memory_mb << 20)
        # What is assumed of a file is for the user at the window, not for this process's log.
        with warnings.catch_warnings(record=True) as assumed:
            warnings.simplefilter("always", InputWarning)
            predictor = load_predictor(
                choice.model, choice.device, cache, family=choice.family, progress=downloaded
            )
        notes = [str(w.message) for w in assumed if issubclass(w.category, InputWarning)]
        self._check_wanted(call)
        self._answerer = Answerer(predictor)
        spec = predictor.spec
        info = ModelInfo(
            id=spec.id,
            title=spec.title,
            description=spec.description,
            device=str(predictor.device),
            encoder=predictor.encoder,
            needs_window=predictor.needs_window,
            score_is_stale=spec.score_is_stale,
            takes_points=spec.takes_points,
            notes=" ".join(notes),
        )
        self._tell(Reply(call.number, Loaded(info=info)))


class _Reported:
    """Turn what happens to a call into a reply; nothing ends the thread."""

    def __init__(self, call: Call, tell: Callable[[Reply], None]) -> None:
        self._number = call.number
        self._tell = tell

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> bool:
        if kind is None:
            return True
        if issubclass(kind, Cancelled):
            self._tell(Reply(self._number, Stopped()))
        elif issubclass(kind, SamriError):
            self._tell(Reply(self._number, Failed(text=str(error), error=kind.__name__)))
        elif issubclass(kind, Exception):
            traceback.print_exc()
            text = f"the model failed with {kind.__name__}: {error}"
            self._tell(Reply(self._number, Failed(text=text, error=kind.__name__)))
        return issubclass(kind, Exception)


def main() -> None:
    """Serve the parent until it is gone."""
    worker: Worker | None = None

    def handle(message: Message, reply: Callable[[Message], None]) -> None:
        nonlocal worker
        if worker is None:
            worker = Worker(lambda answer: reply(Message(*REPLIES.pack(answer))))
        worker.accept(CALLS.unpack(message.head, message.arrays))

    serve(handle)


if __name__ == "__main__":
    main()

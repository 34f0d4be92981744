"""The model's process: ``python -m napari_samri.segment.worker``, driven by `protocol`.

Three threads: one reads jobs, one encodes, one decodes. A click on an embedded slice is thus
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
from napari_samri.jobs import serve
from napari_samri.segment.protocol import (
    Answered,
    Cancel,
    Dropped,
    Encode,
    Encoded,
    Event,
    Failed,
    Job,
    Load,
    Loaded,
    ModelInfo,
    Predict,
    Progress,
    event_to_message,
    message_to_job,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_samri.embeddings import Embedding
    from napari_samri.jobs import Message
    from napari_samri.segment.answers import Answerer

_REPORT_SECONDS = 0.1
_LOAD, _URGENT, _AHEAD = range(3)


class Worker:
    """Runs jobs and tells of them.

    Parameters
    ----------
    tell : callable
        Called with each event, from any thread.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._answerer: Answerer | None = None
        self._to_encode: PriorityQueue[tuple[int, int, Job]] = PriorityQueue()
        self._to_decode: SimpleQueue[tuple[Predict, Embedding | None]] = SimpleQueue()
        self._order = itertools.count()
        self._newest = 0  # number of the newest Predict job
        self._view = 0  # the newest view
        self._limit = 0  # jobs up to this number are cancelled
        self._pressing = 0  # jobs that wait and are more than slices embedded ahead
        self._lock = Lock()
        Thread(target=self._run, args=(self._encode_next,), daemon=True).start()
        Thread(target=self._run, args=(self._decode_next,), daemon=True).start()

    def accept(self, job: Job) -> None:
        """Take a job; returns at once."""
        match job:
            case Cancel():
                self._limit = job.job
            case Load():
                self._enqueue(job, _LOAD)
            case Encode(urgent=False):
                self._enqueue(job, _AHEAD)
            case Encode():
                self._view = max(self._view, job.view)
                self._enqueue(job, _URGENT)
            case Predict():
                self._view = max(self._view, job.view)
                self._newest = job.job
                self._to_decode.put((job, None))

    def _enqueue(self, job: Job, priority: int) -> None:
        with self._lock:
            self._pressing += priority < _AHEAD
        self._to_encode.put((priority, next(self._order), job))

    def _run(self, step: Callable[[], None]) -> None:
        while True:
            step()

    def _encode_next(self) -> None:
        priority, _, job = self._to_encode.get()
        with self._lock:
            self._pressing -= priority < _AHEAD
        with _Reported(job, self._tell):
            if isinstance(job, Load):
                self._load(job)
            elif isinstance(job, Predict):
                self._check_wanted(job)
                self._to_decode.put((job, self._embed(job)))
            elif isinstance(job, Encode):
                self._check_wanted(job)
                self._embed(job)
                self._tell(Encoded(job=job.job))

    def _decode_next(self) -> None:
        job, embedding = self._to_decode.get()
        with _Reported(job, self._tell):
            self._check_wanted(job)
            answerer = self._answerer  # another one may come meanwhile
            if answerer is not None and embedding is None:
                embedding = answerer.predictor.cached(job.pixels, window=job.window)
            if answerer is None or embedding is None:
                self._enqueue(job, _URGENT)
                return
            answer = answerer(embedding, job.prompts, multimask=job.multimask, post=job.post)
            self._tell(Answered(job=job.job, masks=answer.masks, scores=answer.scores))

    def _check_wanted(self, job: Job) -> None:
        match job:
            case Predict():
                stale = job.job < self._newest or job.view < self._view
            case Encode(urgent=True):
                stale = job.view < self._view
            case Encode():
                stale = self._pressing > 0
            case _:
                stale = False
        if stale or job.job <= self._limit:
            raise Cancelled

    def _embed(self, job: Encode | Predict) -> Embedding:
        last = time.monotonic()

        def checkpoint(share: float) -> None:
            nonlocal last
            self._check_wanted(job)
            if time.monotonic() - last > _REPORT_SECONDS:
                last = time.monotonic()
                self._tell(Progress(job=job.job, done=share, total=1, what="encoding"))

        if self._answerer is None:
            message = "no model is loaded, so the slice cannot be embedded; choose a model."
            raise SamriError(message)
        return self._answerer.predictor.embed(job.pixels, window=job.window, checkpoint=checkpoint)

    def _load(self, job: Load) -> None:
        # Here and not above: torch takes seconds, in which jobs are already read.
        from napari_samri.embeddings import EmbeddingCache, cache_dir
        from napari_samri.segment.answers import Answerer
        from napari_samri.segment.predictor import load_predictor

        def downloaded(done: int, total: int) -> None:
            self._check_wanted(job)
            self._tell(Progress(job=job.job, done=done, total=total, what="downloading"))

        choice = job.choice
        cache = EmbeddingCache(cache_dir(), memory_bytes=choice.memory_mb << 20)
        # What is assumed of a file is for the person at the window, not for this process's log.
        with warnings.catch_warnings(record=True) as assumed:
            warnings.simplefilter("always", InputWarning)
            predictor = load_predictor(
                choice.model, choice.device, cache, family=choice.family, progress=downloaded
            )
        notes = [str(w.message) for w in assumed if issubclass(w.category, InputWarning)]
        self._check_wanted(job)
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
        self._tell(Loaded(job=job.job, info=info))


class _Reported:
    """Turn what happens to a job into an event; nothing ends the thread."""

    def __init__(self, job: Job, tell: Callable[[Event], None]) -> None:
        self._job = job.job
        self._tell = tell

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> bool:
        if kind is None:
            return True
        if issubclass(kind, Cancelled):
            self._tell(Dropped(job=self._job))
        elif issubclass(kind, SamriError):
            self._tell(Failed(job=self._job, kind=kind.__name__, text=str(error)))
        elif issubclass(kind, Exception):
            traceback.print_exc()
            text = f"the model failed with {kind.__name__}: {error}"
            self._tell(Failed(job=self._job, kind=kind.__name__, text=text))
        return issubclass(kind, Exception)


def main() -> None:
    """Serve the parent until it is gone."""
    worker: Worker | None = None

    def handle(message: Message, reply: Callable[[Message], None]) -> None:
        nonlocal worker
        if worker is None:
            worker = Worker(lambda event: reply(event_to_message(event)))
        worker.accept(message_to_job(message))

    serve(handle)


if __name__ == "__main__":
    main()

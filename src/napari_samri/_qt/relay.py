"""Work on other threads, and events of a session's engine, brought to the window's thread."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from queue import Empty
from threading import Event
from typing import TYPE_CHECKING, Any

from napari.qt.threading import thread_worker
from qtpy.QtCore import QEventLoop, QThreadPool
from qtpy.QtWidgets import QApplication

from napari_samri._napari import annotations_of, open_annotation
from napari_samri._qt.window import draw_for_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from queue import SimpleQueue

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_samri._napari import Annotation
    from napari_samri.session import Settings

# How long a worker may take to notice that it should stop.
_POLL_SECONDS = 0.2


def open_in_window(
    viewer: ViewerModel,
    image: Image,
    settings: Settings,
    labels: Labels | None = None,
    *,
    tell: Callable[[str], None] | None = None,
) -> Annotation:
    """Return the annotation of an image, as `open_annotation`, in a viewer with a window."""
    found = annotations_of(viewer).get(id(image))
    draw_for_itself(viewer)  # a session's layers go when it ends
    annotation = open_annotation(viewer, image, settings, labels, tell=tell)
    if annotation is not found:
        relay_events(annotation)
    return annotation


def relay_events(annotation: Annotation) -> None:
    """Start a worker that hands events to an annotation until its engine is closed."""
    worker = thread_worker(_events)(annotation.engine.events)
    worker.yielded.connect(annotation.receive)
    worker.start()
    annotation.pump = _let_run
    QApplication.instance().aboutToQuit.connect(annotation.close)


def run_elsewhere(
    work: Callable[[], Any],
    done: Callable[[Any], None],
    failed: Callable[[Exception], None],
) -> Any:
    """Run a function on another thread; `done` or `failed` is called on this one."""

    def steps() -> Iterator[None]:
        yield
        return work()  # a generator, so that napari can abort it before it begins

    # `failed` raises unexpected errors; napari would raise the expected ones as well.
    worker = thread_worker(steps, ignore_errors=True)()
    worker.returned.connect(done)
    worker.errored.connect(failed)
    worker.start()
    return worker


def relay_steps(
    steps: Callable[[], Iterator[Any]],
    took: Callable[[Any], None],
    failed: Callable[[Exception], None],
) -> Callable[[], None]:
    """Run a generator on another thread; what it yields, or raises, comes to this one.

    Returns
    -------
    callable
        Ends it at its next step.
    """
    ended = Event()

    def relayed() -> Iterator[Any]:
        # Closed here and at once: what it holds must not wait for the garbage collector.
        with _beside_the_pool(), closing(steps()) as items:  # type: ignore[type-var]
            for item in items:
                if ended.is_set():
                    return
                yield item

    worker = thread_worker(relayed, ignore_errors=True)()
    worker.yielded.connect(took)
    worker.errored.connect(failed)
    worker.start()
    return ended.set


def _events(queue: SimpleQueue[Any]) -> Iterator[Any]:
    with _beside_the_pool():
        while True:
            try:
                event = queue.get(timeout=_POLL_SECONDS)
            except Empty:
                yield None  # here a worker can be stopped
                continue
            if event is None:
                return
            yield event


@contextmanager
def _beside_the_pool() -> Iterator[None]:
    """Free this thread's place in Qt's pool while it mostly waits.

    The pool has as many places as there are cores. On two cores, two relays would keep all
    other workers from starting, and Qt 5, which converts images in it, would wait forever.
    """
    QThreadPool.globalInstance().releaseThread()
    try:
        yield
    finally:
        pool = QThreadPool.globalInstance()
        if pool is not None:  # at the very end of the application
            pool.reserveThread()


def _let_run(seconds: float) -> None:
    """Run the event loop for a while, as code that waits in the window's thread has to."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 10)
        time.sleep(0.002)

"""Events of a session's engine, brought to the window's thread by a napari thread worker."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from queue import Empty
from threading import Event
from typing import TYPE_CHECKING, Any

from napari.qt.threading import thread_worker
from qtpy.QtCore import QEventLoop, QThreadPool
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from queue import SimpleQueue

    from napari_samri._napari import Annotation

# How long a worker may take to notice that it should stop.
_POLL_SECONDS = 0.2


def relay_events(annotation: Annotation) -> Any:
    """Start a worker that hands events to an annotation until its engine is closed."""
    worker = thread_worker(_events)(annotation.engine.events)
    worker.yielded.connect(annotation.receive)
    worker.start()
    annotation.pump = _let_run
    QApplication.instance().aboutToQuit.connect(annotation.close)
    return worker


def run_elsewhere(
    work: Callable[[], Any],
    done: Callable[[Any], None],
    failed: Callable[[Exception], None],
) -> Any:
    """Run a function on another thread; `done` or `failed` is called on this one."""

    def steps() -> Iterator[None]:
        yield
        return work()  # a generator, so that napari can abort it before it begins

    # `failed` raises what is none of ours; napari would raise the rest as well.
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
        # Closed on its own thread, at once: what it holds shall not wait for Python's collector.
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
    """Lend this thread's place in Qt's pool to others while it mostly waits.

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
    """Let the event loop run for a while, as waiting in a window's thread has to."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 10)
        time.sleep(0.002)

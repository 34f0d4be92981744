"""What stands in for the window, where jobs are tested without one."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from napari_samri.work import run as runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

PATIENCE = 120
KINDS = ("embed", "warm", "finetune")
ROOT = Path(__file__).parents[2]


class Hand:
    """Stands in for the window: generators run on threads, what they yield is taken by `pump`."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.threads: list[Thread] = []

    def relay(
        self,
        steps: Callable[[], Iterator[Any]],
        took: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> Callable[[], None]:
        ended = Event()

        def work() -> None:
            items = steps()
            try:
                for item in items:
                    if ended.is_set():
                        break
                    self._queue.put(partial(took, item))
            except Exception as error:  # noqa: BLE001  # it is passed on
                self._queue.put(partial(failed, error))
            finally:
                items.close()  # type: ignore[attr-defined]

        self.threads.append(Thread(target=work))
        self.threads[-1].start()
        return ended.set

    def pump(self) -> None:
        while not self._queue.empty():
            self._queue.get()()

    def until(self, holds: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "waited in vain"
            self.pump()
            time.sleep(0.01)


def lent_hand() -> Iterator[Hand]:
    """Yield a hand, and let no job of it go on afterwards: the body of a fixture."""
    hand = Hand()
    yield hand
    for run in runs.find_runs(*KINDS):
        run.cancel()
    for thread in hand.threads:
        thread.join(PATIENCE)
    hand.until(lambda: not any(run.running for run in runs.find_runs(*KINDS)))


def run_module(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let jobs run a module of the tests."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(runs, "MODULE", module)

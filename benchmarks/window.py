"""How smooth the window stays while a model works.

``python tools/with_screen.py python benchmarks/window.py [--models starter vit_b] [--seconds 8]``
prints how long the event loop of a real viewer with a session was away at worst (a timer of
2 ms), at rest, with the encoder in a thread of this process, and with it in a process of its
own; each with a window that stands still and with one whose slices are scrolled. ViT-B has
seeded random weights.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from threading import Thread

import napari
import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

# Before a window is opened: see tests/conftest.py.
from random_vit_b import save_vit_b

from napari_samri import EmbeddingCache, load_predictor
from napari_samri._napari.annotation import Annotation
from napari_samri._qt.relay import relay_events

PATIENCE_SECONDS = 600


def stolen() -> int:
    """Return for how many ticks the host of a virtual machine has kept its cores to itself."""
    try:
        return int(Path("/proc/stat").read_text().split(maxsplit=9)[8])
    except (OSError, ValueError, IndexError):
        return 0


class Pulse:
    """Notes how long the event loop was away."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.robbed: list[bool] = []
        self._stolen = 0
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self.gaps, self.robbed, self._stolen = [], [], stolen()
        self._last = time.perf_counter()
        self._timer.start(2)

    def stop(self) -> str:
        self._timer.stop()
        gaps, robbed = 1000 * np.array(self.gaps), np.array(self.robbed)
        late = int((gaps > 50).sum())
        return (
            f"worst {gaps.max():6.1f} ms, 99.9 % under {np.percentile(gaps, 99.9):5.1f} ms, "
            f"median {np.median(gaps):4.1f} ms, {late} over 50 ms in {gaps.sum() / 1000:.0f} s; "
            f"worst while no core was taken away {gaps[~robbed].max():5.1f} ms"
        )

    def _beat(self) -> None:
        now = time.perf_counter()
        taken = stolen()
        self.gaps.append(now - self._last)
        self.robbed.append(taken != self._stolen)
        self._last, self._stolen = now, taken


class Scroller:
    """Turns the pages, as a person at the wheel does."""

    def __init__(self, viewer: napari.Viewer, slices: int) -> None:
        self._viewer, self._slices = viewer, slices
        self._timer = QTimer()
        self._timer.timeout.connect(self._turn)
        self._timer.start(150)

    def _turn(self) -> None:
        at = self._viewer.dims.current_step[0]
        self._viewer.dims.set_current_step(0, (at + 1) % self._slices)

    def stop(self) -> None:
        self._timer.stop()


def let_live(until: object, seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.0005)


def measured(viewer: napari.Viewer, seconds: float, slices: int) -> dict[str, str]:
    """Return how often the event loop came round, standing still and scrolling."""
    pulse, found = Pulse(), {}
    for name in ("standing still", "scrolling"):
        scroller = Scroller(viewer, slices) if name == "scrolling" else None
        let_live(lambda: False, 1)
        pulse.start()
        let_live(lambda: False, seconds)
        found[name] = pulse.stop()
        if scroller is not None:
            scroller.stop()
    return found


def in_thread(viewer: napari.Viewer, model: str, volume: np.ndarray, s: float) -> dict[str, str]:
    predictor = load_predictor(model, "cpu", EmbeddingCache())
    stop = False

    def work() -> None:
        n = 0
        while not stop:
            n += 1
            # No slice twice, so that nothing comes from a cache.
            predictor.embed(volume[n % len(volume)] + np.float32(n) * volume[0])

    thread = Thread(target=work, daemon=True)
    thread.start()
    found = measured(viewer, s, len(volume))
    stop = True
    thread.join()
    return found


def show(title: str, found: dict[str, str]) -> None:
    for name, text in found.items():
        print(f"{title:22} {name:15} {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["starter", "vit_b"])
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    volume = np.random.default_rng(0).normal(100, 20, (400, 256, 256)).astype(np.float32)
    volume[:, 60:180, 60:180] += 100
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_SAMRI_CACHE"] = f"{folder}/cache"
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1400, 900)
        image = viewer.add_image(volume, units=("mm",) * 3)
        annotation = Annotation(viewer, image, ahead=len(volume), autosave=False)
        relay_events(annotation)
        let_live(lambda: False, 3)
        show("at rest", measured(viewer, options.seconds, len(volume)))
        for name in options.models:
            model = str(save_vit_b(Path(folder))) if name == "vit_b" else name
            show(f"{name}, thread", in_thread(viewer, model, volume, options.seconds))
        for name in options.models:
            model = str(save_vit_b(Path(folder))) if name == "vit_b" else name
            annotation.scheduler.ahead = len(volume)
            annotation.use_model(model, device="cpu")
            let_live(lambda: not annotation.scheduler.busy)
            show(f"{name}, process", measured(viewer, options.seconds, len(volume)))
        annotation.close()
        viewer.close()


if __name__ == "__main__":
    main()

"""How smooth the window stays while a model works, and how long a click takes.

``python tools/with_screen.py python benchmarks/window.py [--models starter vit_b] [--slices 12]``
prints, for each model, how long the event loop of a real viewer was blocked at worst (a timer
of 2 ms) at rest, with the model in a thread of this process, and with it in a process of its own,
all three while the slices are scrolled; then the time from a prompt to its mask on the screen,
with the slice's embedding in the cache. ViT-B has seeded random weights.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from threading import Thread

import napari
import numpy as np

# Before a window is opened: see tests/conftest.py.
import segment_anything
import torch
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_samri import EmbeddingCache, load_predictor
from napari_samri._napari.annotation import Annotation
from napari_samri._qt.relay import relay_events

PATIENCE_SECONDS = 600


class Pulse:
    """Notes how long the event loop was away."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self.gaps, self._last = [], time.perf_counter()
        self._timer.start(2)

    def stop(self) -> str:
        self._timer.stop()
        gaps = 1000 * np.array(self.gaps)
        late = int((gaps > 50).sum())
        return (
            f"worst {gaps.max():6.1f} ms, 99.9 % under {np.percentile(gaps, 99.9):5.1f} ms, "
            f"median {np.median(gaps):4.1f} ms, {late} over 50 ms in {gaps.sum() / 1000:.0f} s"
        )

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now


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


def measured(viewer: napari.Viewer, pulse: Pulse, seconds: float, slices: int) -> str:
    scroller = Scroller(viewer, slices)
    let_live(lambda: False, 1)
    pulse.start()
    let_live(lambda: False, seconds)
    text = pulse.stop()
    scroller.stop()
    return text


def in_thread(viewer: napari.Viewer, pulse: Pulse, model: str, volume: np.ndarray, s: float) -> str:
    predictor = load_predictor(model, "cpu", EmbeddingCache())
    stop = False

    def work() -> None:
        n = 0
        while not stop:
            n += 1
            noise = np.float32(n)  # no slice twice, so that nothing comes from a cache
            predictor.embed(volume[n % len(volume)] + noise * volume[0])

    thread = Thread(target=work, daemon=True)
    thread.start()
    text = measured(viewer, pulse, s, len(volume))
    stop = True
    thread.join()
    return text


def in_process(
    viewer: napari.Viewer, pulse: Pulse, model: str, image: object, s: float
) -> tuple[str, str]:
    annotation = Annotation(viewer, image, ahead=len(image.data), autosave=False)
    relay_events(annotation)
    annotation.use_model(model, device="cpu")
    let_live(lambda: not annotation.service.busy)
    text = measured(viewer, pulse, s, len(image.data))
    clicks = click_times(viewer, annotation)
    annotation.close()
    return text, clicks


def click_times(viewer: napari.Viewer, annotation: Annotation) -> str:
    """Return the time from a finished box to the repainted preview, embedding in the cache."""
    viewer.dims.set_current_step(0, 5)
    session = annotation.session
    annotation.service.ahead = 0
    annotation.service.cancel()
    annotation.add_box(40, 40, 120, 120)
    let_live(lambda: session.preview is not None)
    let_live(lambda: False, 2)
    times = []
    for n in range(30):
        session.clear()
        let_live(lambda: False, 0.1)
        begin = time.perf_counter()
        annotation.add_box(40 + n, 40, 150 + n, 160)
        let_live(lambda: session.preview is not None)
        QApplication.processEvents()
        times.append(1000 * (time.perf_counter() - begin))
    return f"median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms of {len(times)}"


def vit_b(folder: Path) -> str:
    torch.manual_seed(0)
    path = folder / "sam_vit_b_random.pth"
    torch.save(segment_anything.sam_model_registry["vit_b"]().state_dict(), path)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["starter", "vit_b"])
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    volume = generator.normal(100, 20, (40, 256, 256)).astype(np.float32)
    volume[:, 60:180, 60:180] += 100
    with tempfile.TemporaryDirectory() as folder:
        import os

        os.environ["NAPARI_SAMRI_CACHE"] = f"{folder}/cache"
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1400, 900)
        image = viewer.add_image(volume, units=("mm",) * 3)
        pulse = Pulse()
        let_live(lambda: False, 3)
        print(f"at rest, scrolling    : {measured(viewer, pulse, options.seconds, len(volume))}")
        for name in options.models:
            model = vit_b(Path(folder)) if name == "vit_b" else name
            thread = in_thread(viewer, pulse, model, volume, options.seconds)
            print(f"{name:8} in a thread  : {thread}", flush=True)
            process, clicks = in_process(viewer, pulse, model, image, options.seconds)
            print(f"{name:8} in a process : {process}", flush=True)
            print(f"{name:8} box to mask  : {clicks}", flush=True)
        viewer.close()


if __name__ == "__main__":
    main()

"""Time from a prompt to its mask: ``python benchmarks/click.py [--model starter] [--vit-b]``.

The whole way of a session but for the window's painting: napari reports that a box was added to
the shapes layer, the session makes a request, the model's process answers, the mask is in the
preview layer. The slice's embedding is in the cache. ``--vit-b`` takes SAM ViT-B with seeded
random weights.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from random_vit_b import save_vit_b

from napari_samri._napari.annotation import Annotation


def times_ms(model: str, repeats: int) -> list[float]:
    volume = np.random.default_rng(0).normal(100, 20, (20, 256, 256)).astype(np.float32)
    volume[:, 60:180, 60:180] += 100
    viewer = ViewerModel()
    image = viewer.add_image(volume, units=("mm",) * 3)
    annotation = Annotation(viewer, image, ahead=0, autosave=False)
    annotation.use_model(model, device="cpu")
    annotation.wait(300)
    viewer.dims.set_current_step(0, 5)
    annotation.add_box(40, 40, 120, 120)
    annotation.wait(300)
    shapes, found, reported = annotation.link.canvas.shapes, [], []
    note = lambda _: reported.append(time.perf_counter())  # noqa: E731
    shapes.events.data.connect(note, position="first")
    for n in range(repeats + 3):
        annotation.session.clear()
        time.sleep(0.2)
        corners = [(5, 40, 40 + n), (5, 40, 150), (5, 160, 150), (5, 160, 40 + n)]
        shapes.add([np.array(corners, float)], shape_type="rectangle")
        while annotation.session.preview is None:
            annotation.receive(annotation.engine.events.get())
        found.append(1000 * (time.perf_counter() - reported[-1]))
    annotation.close()
    return found[3:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--vit-b", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_SAMRI_CACHE"] = f"{folder}/cache"
        model = str(save_vit_b(Path(folder))) if options.vit_b else options.model
        found = times_ms(model, options.repeats)
    print(
        f"{Path(model).stem}: box to mask, median {statistics.median(found):.0f} ms, "
        f"best {min(found):.0f} ms, worst {max(found):.0f} ms of {len(found)}"
    )


if __name__ == "__main__":
    main()

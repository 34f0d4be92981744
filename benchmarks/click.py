"""Time from a prompt to its mask: ``python benchmarks/click.py [--model starter] [--vit-b]``.

The whole way of a session but for the window's painting: napari reports that a box was added to
the shapes layer, the session makes a request, the model's process answers, the mask is in the
preview layer. The slice's embedding is in the cache. ``--vit-b`` takes SAM ViT-B with seeded
random weights.

``--against-sam`` compares `Predictor.predict` with the SAM library's `SamPredictor.predict`, both
on one ViT-B and one slice, in one process, in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from napari.components import ViewerModel
from random_vit_b import save_vit_b
from segment_anything import SamPredictor, sam_model_registry

from napari_samri import EmbeddingCache, Predictor
from napari_samri._napari.annotation import Annotation
from napari_samri.models import LoadedModel, find_model
from napari_samri.models.preprocessing import SAM
from napari_samri.models.sam1 import Sam1Network


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
    shapes, found, reported = annotation.canvas.shapes, [], []
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


def against_sam(repeats: int) -> tuple[list[float], list[float]]:
    """Return times in ms of a box on an embedded slice, ours and the library's."""
    torch.manual_seed(0)
    sam = sam_model_registry["vit_b"]().eval()
    device = torch.device("cpu")
    network = Sam1Network.of(sam).requires_grad_(False)
    model = LoadedModel(find_model("sam-vit-b"), network, SAM, "seeded", device)
    image = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    library, ours = SamPredictor(sam), Predictor(model, EmbeddingCache())
    library.set_image(np.repeat(image[..., None], 3, axis=2))
    embedding = ours.embed(image)
    box = np.array([40, 40, 120, 150])
    found: tuple[list[float], list[float]] = ([], [])
    for n in range(repeats + 3):
        for times, ask in zip(
            found,
            (
                partial(ours.predict, embedding, box_xyxy=box + n % 9),
                partial(library.predict, box=box + n % 9, multimask_output=False),
            ),
            strict=True,
        ):
            begin = time.perf_counter()
            ask()
            times.append(1000 * (time.perf_counter() - begin))
    return found[0][3:], found[1][3:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--vit-b", action="store_true")
    parser.add_argument("--against-sam", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    if options.against_sam:
        ours, theirs = (statistics.median(times) for times in against_sam(options.repeats))
        print(
            f"one box on an embedded slice, ViT-B: {ours:.0f} ms, the SAM library {theirs:.0f} ms: "
            f"{theirs / ours:.1f} times as long, with {torch.get_num_threads()} threads"
        )
        return
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

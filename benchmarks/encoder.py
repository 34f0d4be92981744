"""Time and memory of an image encoder: ``python benchmarks/encoder.py [--repeats 5]``.

SAM ViT-B with seeded random weights: `SamPredictor.set_image` and `Predictor.embed` in turns in one
process, and each alone in a process of its own for its memory beyond the loaded model. Ratios of
medians are what counts: absolute times depend on the machine and its load. On a busy machine,
those of the processor's time with ``--threads 1`` are the steadier ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from random_vit_b import save_vit_b
from segment_anything import SamPredictor, sam_model_registry

from napari_samri import EmbeddingCache, load_predictor

if TYPE_CHECKING:
    from collections.abc import Callable

    Way = Callable[[np.ndarray], np.ndarray]

SIZE = 256


def library(path: Path) -> Way:
    """Return the SAM library's way from a slice of 0..255 to an embedding."""
    predictor = SamPredictor(sam_model_registry["vit_b"](checkpoint=str(path)).eval())

    def embed(image: np.ndarray) -> np.ndarray:
        predictor.set_image(np.repeat(image[..., None], 3, axis=2))
        return predictor.get_image_embedding()[0].numpy()

    return embed


def ours(path: Path) -> Way:
    """Return the package's way."""
    predictor = load_predictor(path, "cpu", EmbeddingCache(memory_bytes=0), family="sam")
    return lambda image: np.asarray(predictor.embed(image).features["image"])


WAYS = {"library": library, "ours": ours}


def slice_of(seed: int) -> np.ndarray:
    """Return a slice (256, 256) that has all of 0..255, so that no way of scaling changes it."""
    image = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), np.uint8)
    image[0, :2] = 0, 255
    return image


def seconds(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return how long one call takes, for how long it has processors, and what it returns."""
    begin, busy = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - begin, time.process_time() - busy, result


def compare(path: Path, repeats: int) -> dict[str, Any]:
    """Run both ways in turns, the first pair to warm up."""
    ways = {name: make(path) for name, make in WAYS.items()}
    times: dict[str, list[list[float]]] = {name: [] for name in ways}
    error = 0.0
    for number in range(repeats + 1):
        found = {}
        for name, way in ways.items():
            *took, found[name] = seconds(partial(way, slice_of(number)))
            times[name].append(took)
        gap = np.linalg.norm(found["ours"] - found["library"])
        error = max(error, float(gap / np.linalg.norm(found["library"])))
    result: dict[str, Any] = {"relative_l2": error}
    for number, kind in enumerate(("seconds", "processor_seconds")):
        medians = {
            name: statistics.median(pair[number] for pair in values[1:])
            for name, values in times.items()
        }
        result[kind] = medians | {"ratio": medians["library"] / medians["ours"]}
    return result


def peak_megabytes(way: str, path: Path) -> float:
    """Return what encoding takes beyond the loaded model, in a process of its own."""
    command = [sys.executable, __file__, "--peak", way, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def print_peak(way: str, path: Path) -> None:
    """Print the growth of this process's highest memory while it encodes one slice."""
    embed = WAYS[way](path)
    # The highest memory so far may be that of loading: count from what is resident now.
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    embed(slice_of(0))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident) / 1e6)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("WAY", "CHECKPOINT"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        print_peak(options.peak[0], Path(options.peak[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = save_vit_b(Path(folder))
        found = compare(path, options.repeats)
        found["peak_megabytes"] = {way: peak_megabytes(way, path) for way in WAYS}
    found |= {"threads": options.threads, "torch": torch.__version__}
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

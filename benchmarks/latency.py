"""Time the starter and the import on this machine: ``python benchmarks/latency.py``.

Prints medians of interleaved runs. Absolute times depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_samri import EmbeddingCache, load_predictor

if TYPE_CHECKING:
    from collections.abc import Callable


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    begin = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begin)


def import_milliseconds() -> float:
    """Return how much longer an interpreter takes that imports the package."""
    empty = [sys.executable, "-c", "pass"]
    package = [sys.executable, "-c", "import napari_samri"]
    bare = milliseconds(lambda: subprocess.run(empty, check=True))
    return milliseconds(lambda: subprocess.run(package, check=True)) - bare


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    predictor = load_predictor(options.model, "cpu", EmbeddingCache(memory_bytes=0))
    rng = np.random.default_rng(0)
    slices = [rng.normal(size=(256, 256)).cumsum(0) for _ in range(options.repeats + 3)]
    embed, predict = [], []
    for image in slices:
        embed.append(milliseconds(partial(predictor.embed, image)))
        embedding = predictor.embed(image)
        ask = partial(predictor.predict, embedding, box_xyxy=(60, 60, 180, 190))
        predict.append(milliseconds(ask))
    imports = [import_milliseconds() for _ in range(5)]
    print(f"{predictor.spec.id}, {options.threads} threads, medians of {options.repeats}")
    print(f"embed           {statistics.median(embed[3:]):8.1f} ms")
    print(f"predict         {statistics.median(predict[3:]):8.1f} ms")
    print(f"import package  {statistics.median(imports):8.1f} ms")


if __name__ == "__main__":
    main()

"""What storing embeddings in fewer bits does to masks.

``python benchmarks/quantisation.py FOLDER [--slices 100] [--model starter]`` embeds real labelled
slices, decodes the box of every label from the embedding in fp32, fp16 and int8, and compares the
masks with each other and with the labels. The gate: the median Dice between a mask and the one
from fp32 is at least 0.995, and the mean Dice against the labels moves by at most 0.001.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_samri import Embedding, EmbeddingCache
from napari_samri.embeddings.bank.arrays import from_int8, to_half, to_int8
from napari_samri.evaluation import dice
from napari_samri.geometry import Plane
from napari_samri.io import load_volume
from napari_samri.models.loading import load_model
from napari_samri.segment.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_samri.datasets import Manifest

LEAST_AGREEMENT = 0.995
LARGEST_CHANGE = 0.001


@dataclass(frozen=True)
class Score:
    """How a mask from a stored embedding compares, on one object."""

    way: str
    pixels: int
    agreement: float
    change: float


def stored(tensor: NDArray) -> dict[str, NDArray]:
    """Return an embedding as it comes back from each kind of bank."""
    half = to_half(tensor)
    return {"float16": half.astype(np.float32), "int8": from_int8(*to_int8(half))}


def objects(manifest: Manifest) -> Iterator[tuple[NDArray, list[tuple[NDArray, NDArray]]]]:
    """Yield each slice with the mask and the box of every label."""
    roots = {dataset.name: Path(dataset.root) for dataset in manifest.datasets}
    for study in manifest.studies:
        if not study.slices:
            continue
        root = roots[study.dataset]
        image, labels = load_volume(root / study.image), load_volume(root / study.labels)
        for entry in study.slices:
            plane = Plane(study.axis, entry.index)
            marked = plane.extract(labels)
            found = [(marked == r.label, np.array(r.box_xyxy, float)) for r in entry.regions]
            yield plane.extract(image), [(m, b) for m, b in found if (b[2:] > b[:2]).all()]


def measure(predictor: Predictor, manifest: Manifest) -> list[Score]:
    """Compare the masks of all labels."""
    scores = []
    for pixels, found in objects(manifest):
        embedding = predictor.embed(pixels)
        ways = {
            name: replace(embedding, features={"image": tensor})
            for name, tensor in stored(embedding.features["image"]).items()
        }
        for truth, box in found:
            scores += compare(predictor, embedding, ways, truth, box)
    return scores


def agreement(mask: NDArray, reference: NDArray) -> float:
    """Return the Dice of two masks; two empty ones agree."""
    return float(np.nan_to_num(dice(mask, reference), nan=1.0))


def compare(
    predictor: Predictor,
    exact: Embedding,
    ways: dict[str, Embedding],
    truth: NDArray,
    box: NDArray,
) -> list[Score]:
    """Return a score of each way to store, for one object."""
    reference = predictor.predict(exact, box_xyxy=box).masks[0]
    before = dice(reference, truth)
    scores = []
    for name, embedding in ways.items():
        mask = predictor.predict(embedding, box_xyxy=box).masks[0]
        change = dice(mask, truth) - before
        scores.append(Score(name, int(truth.sum()), agreement(mask, reference), change))
    return scores


def gate(scores: list[Score], way: str) -> tuple[float, float, bool]:
    """Return the median agreement, the change of the mean Dice, and whether both will do."""
    mine = [score for score in scores if score.way == way]
    agreement = float(np.median([score.agreement for score in mine]))
    change = float(np.mean([score.change for score in mine]))
    return agreement, change, agreement >= LEAST_AGREEMENT and abs(change) <= LARGEST_CHANGE


def main() -> None:
    """Measure and print."""
    from real_slices import chosen

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    predictor = Predictor(load_model(options.model, "cpu"), EmbeddingCache())
    scores = measure(predictor, chosen(options.folder, options.slices))
    for way in ("float16", "int8"):
        agreement, change, passed = gate(scores, way)
        mine = sorted(score.agreement for score in scores if score.way == way)
        print(
            f"{way:8} {len(mine)} objects: Dice with the mask from fp32: median {agreement:.4f}, "
            f"mean {np.mean(mine):.4f}, 5 % below {mine[len(mine) // 20]:.4f}, worst "
            f"{mine[0]:.4f}; mean Dice to the labels {change:+.5f}: "
            f"{'passed' if passed else 'NOT PASSED'}"
        )


if __name__ == "__main__":
    main()

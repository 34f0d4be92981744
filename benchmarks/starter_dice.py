"""Dice of a model on real labelled MRI, against three ways to fill a box without looking.

``python benchmarks/starter_dice.py FOLDER`` takes a folder of NAME_img.nii.gz and NAME_seg.nii.gz.
An object is all that carries one label on one slice along the acquisition plane, of 10 pixels
or more; its prompt is its box, tight, and with each side moved by up to 10 % of the extent.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_samri import EmbeddingCache, load_predictor, load_volume
from napari_samri.errors import InputError, InputWarning
from napari_samri.evaluation import BASELINES, dice
from napari_samri.simulate import move_sides, tight_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_samri import Volume

SMALLEST_PX = 10
BINS = (("small", 0.0, 0.005), ("medium", 0.005, 0.035), ("large", 0.035, 1.0))
JITTER = 0.1
METHODS = ("model", *BASELINES)


@dataclass(frozen=True)
class Score:
    """The Dice of one method on one object."""

    dataset: str
    area_fraction: float
    box: str
    method: str
    dice: float


def objects(image: Volume, labels: Volume) -> Iterator[tuple[NDArray, list[NDArray]]]:
    """Yield each slice with the masks of its labels."""
    channels = labels.array if labels.array.ndim == 4 else labels.array[None]
    for index, pixels in enumerate(image.array.reshape(image.spatial_shape)):
        masks = []
        for channel in channels:
            marked = np.rint(channel.reshape(image.spatial_shape)[index]).astype(int)
            masks += [marked == value for value in np.unique(marked) if value > 0]
        yield pixels, [mask for mask in masks if mask.sum() >= SMALLEST_PX]


def jittered(box: NDArray, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
    """Move each side by up to a tenth of the extent, within the slice."""
    extent = np.tile(box[2:] - box[:2] + 1, 2)
    moved = np.rint(move_sides(box, rng.random(4), JITTER * extent))
    moved = np.clip(moved, 0, np.tile((shape[1] - 1, shape[0] - 1), 2))
    grown = np.maximum(moved[2:], moved[:2] + 1)
    return np.concatenate([moved[:2], np.minimum(grown, (shape[1] - 1, shape[0] - 1))])


def measure(folder: Path, model: str, limit: int | None) -> list[Score]:
    """Score all objects of a folder; `limit` bounds the slices of each file, evenly spread."""
    predictor = load_predictor(model, cache=EmbeddingCache())
    rng = np.random.default_rng(0)
    scores: list[Score] = []
    for image_path in sorted(folder.glob("*_img.nii.gz")):
        name = image_path.name.removesuffix("_img.nii.gz")
        image = load_volume(image_path)
        labels = load_volume(image_path.with_name(f"{name}_seg.nii.gz"))
        slices = [(pixels, masks) for pixels, masks in objects(image, labels) if masks]
        if limit is not None and len(slices) > limit:
            slices = [slices[k] for k in np.linspace(0, len(slices) - 1, limit).astype(int)]
        for pixels, masks in slices:
            try:
                embedding = predictor.embed(pixels)
            except InputError:
                continue
            for truth in masks:
                tight = tight_boxes(torch.from_numpy(truth[None]))[0].numpy()
                boxes = {"tight": tight, "jittered": jittered(tight, truth.shape, rng)}
                for kind, box in boxes.items():
                    found = {name: fill(pixels, box) for name, fill in BASELINES.items()}
                    if (box[2:] > box[:2]).all():
                        answer = predictor.predict(embedding, box_xyxy=box)
                        found["model"] = answer.masks[0]
                    else:
                        found["model"] = found["filled box"]  # one pixel wide: no box for SAM
                    scores += [
                        Score(name, float(truth.mean()), kind, method, dice(mask, truth))
                        for method, mask in found.items()
                    ]
    return scores


def table(scores: list[Score]) -> str:
    """Return mean Dice by size and by data set, as text."""
    lines = []
    for kind in ("tight", "jittered"):
        title = f"{kind} box"
        lines += [f"\n{title:16} objects" + "".join(f"{method:>14}" for method in METHODS)]
        chosen = [score for score in scores if score.box == kind]
        for name, low, high in BINS:
            part = [s for s in chosen if low <= s.area_fraction < high]
            lines.append(row(name, part))
        lines.append(row("all objects", chosen))
        groups: dict[tuple[str, str], list[float]] = defaultdict(list)
        for score in chosen:
            groups[score.dataset, score.method].append(score.dice)
        datasets = sorted({score.dataset for score in chosen})
        for dataset in datasets:
            lines.append(row(dataset, [s for s in chosen if s.dataset == dataset]))
        means = [np.mean([np.mean(groups[d, m]) for d in datasets]) for m in METHODS]
        lines.append(f"{'mean of sets':18}{len(datasets):6}" + "".join(f"{m:14.3f}" for m in means))
    return "\n".join(lines)


def row(name: str, scores: list[Score]) -> str:
    """Return one line of the table."""
    means = []
    for method in METHODS:
        values = [s.dice for s in scores if s.method == method]
        means.append(np.mean(values) if values else np.nan)
    return f"{name[:18]:18}{len(scores) // len(METHODS):6}" + "".join(f"{m:14.3f}" for m in means)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--slices", type=int, help="at most so many slices of each file")
    parser.add_argument("--json", type=Path, help="also write every score")
    options = parser.parse_args()
    warnings.simplefilter("ignore", InputWarning)
    scores = measure(options.folder, options.model, options.slices)
    print(table(scores))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(score) for score in scores]))


if __name__ == "__main__":
    main()

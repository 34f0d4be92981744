"""What fine-tuning buys on real MRI: Dice before and after, on other subjects than trained on.

``python benchmarks/finetune_dice.py FOLDER [--epochs 40]``: FOLDER holds NAME_img.nii.gz and
NAME_seg.nii.gz. For each anatomy of ``anatomies.py``, the starter's decoder is tuned on some
subjects and compared with the untuned one on others: with tight boxes, and after each of eight
corrections, a click where the mask misses the object and one where it spills, as in the viewer.
Intervals are 95 % of a bootstrap over slices. ``--slices 5 10 20`` trains on so many labelled
slices only, evenly spread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from anatomies import ANATOMIES, Anatomy, lay_out

from napari_samri.batch import EmbedConfig, embed_bank
from napari_samri.datasets import Rules, prepare, write_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.jobs.events import Measured
from napari_samri.segment.loading import load_model
from napari_samri.training import TrainConfig, find_objective, fit, small_data
from napari_samri.training.decoder import PromptedDecoder
from napari_samri.training.objective import MEDICOSAM
from napari_samri.training.pairs import pairs_of
from napari_samri.training.plan import micro_batches
from napari_samri.training.prompts import numbers_needed
from napari_samri.training.source import BankSource
from napari_samri.training.step import answers
from napari_samri.training.validate import ValidationSet, dice_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.datasets.manifest import Study


def make_bank(data: Path, folder: Path, anatomy: Anatomy, slices: int = 0) -> Path:
    """Embed the subjects of an anatomy, split as given; of those to train on, so many slices."""
    split_of = anatomy.split_of()
    (folder / "data").mkdir(parents=True)
    lay_out(anatomy, data, folder / "data")
    manifest = prepare(folder / "data", Rules(train=1, validation=0, test=0))
    studies = tuple(
        replace(study, split=split_of[study.image.removesuffix("_img.nii.gz")])
        for study in manifest.studies
    )
    if slices:
        studies = tuple(_thinned(studies, slices))
    write_manifest(folder / "manifest.json", replace(manifest, studies=studies))
    config = EmbedConfig(manifest=folder / "manifest.json", out=folder / "bank.zarr", device="cpu")
    list(embed_bank(config))
    return config.out


def _thinned(studies: tuple[Study, ...], slices: int) -> Iterator[Study]:
    """Keep so many slices of the training studies together, evenly spread."""
    every = [
        (study, entry) for study in studies if study.split == "train" for entry in study.slices
    ]
    places = np.linspace(0, len(every) - 1, min(slices, len(every))).round().astype(int)
    kept = [every[place] for place in places]
    for study in studies:
        if study.split == "train":
            own = tuple(entry for other, entry in kept if other is study)
            if own:
                yield replace(study, slices=own)
        else:
            yield study


def tune(bank: Path, out: Path, objective: str, epochs: int) -> Path | None:
    """Tune the starter; return its best decoder, or None if it was never better."""
    masks = len(pairs_of(Bank(bank), "train"))
    config = TrainConfig(bank=bank, out=out, objective=find_objective(objective), device="cpu")
    config = replace(small_data(config, masks), epochs=epochs, split_slices=True)
    begin = time.perf_counter()
    for event in fit(config):
        if isinstance(event, Measured) and event.at % 5 == 0:
            values = ", ".join(f"{k} {v:.3f}" for k, v in event.values.items())
            print(f"    {objective} epoch {event.at:3.0f}: {values}", flush=True)
    print(f"    {masks} masks, {time.perf_counter() - begin:.0f} s", flush=True)
    best = out / "best.safetensors"
    return best if best.exists() else None


@torch.no_grad()
def scores(bank: Bank, model: object, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Dice (steps + 1, masks) on the test split, and the slice of each mask."""
    decoder = PromptedDecoder(load_model(model, "cpu"))
    source = BankSource(bank, torch.device("cpu"))
    chosen = ValidationSet.of(pairs_of(bank, "test"), 300, 4)
    objective = replace(MEDICOSAM, p_box=1, p_mask=0, n_steps=steps)
    generator = np.random.default_rng(0)
    dice, rows = [], []
    for piece in micro_batches(chosen.groups, 16):
        numbers = generator.random((chosen.masks, numbers_needed(steps)), dtype=np.float32)
        samples = source.to_samples(source.read(piece), numbers)
        if samples is None:
            continue
        found = [
            dice_of(answer > 0, samples.truth).numpy()
            for answer, _ in answers(decoder, samples, objective)
        ]
        dice.append(np.stack(found))
        rows += [piece[int(image)].row for image in samples.image]
    return np.concatenate(dice, axis=1), np.array(rows)


def interval(values: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Return 95 % of a bootstrap of the mean over slices."""
    generator = np.random.default_rng(0)
    by_row = [values[rows == row] for row in np.unique(rows)]
    sums = np.array([part.sum() for part in by_row])
    counts = np.array([len(part) for part in by_row])
    drawn = generator.integers(0, len(by_row), (10_000, len(by_row)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--anatomies", nargs="+", default=list(ANATOMIES))
    parser.add_argument("--objectives", nargs="+", default=["samri-box", "medicosam"])
    parser.add_argument("--slices", type=int, nargs="+", default=[0], help="0: all")
    options = parser.parse_args()
    for anatomy, slices in product(options.anatomies, options.slices):
        print(f"{anatomy}" + (f", {slices} slices" if slices else ""), flush=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = make_bank(options.data, folder / "bank", ANATOMIES[anatomy], slices)
            bank = Bank(path)
            before, rows = scores(bank, "starter", 8)
            print(f"  starter: {before[0].mean():.3f}; clicks {_line(before)}", flush=True)
            for objective in options.objectives:
                best = tune(path, folder / objective, objective, options.epochs)
                if best is None:
                    print(f"  {objective}: never better than the starter on its validation")
                    continue
                after, _ = scores(bank, best, 8)
                gain = after[0] - before[0]
                low, high = interval(gain, rows)
                print(
                    f"  {objective}: {after[0].mean():.3f} ({gain.mean():+.3f}, {low:+.3f} to "
                    f"{high:+.3f}) on {len(rows)} masks; clicks {_line(after)}; "
                    f"{_smallest_step(after, rows)}",
                    flush=True,
                )


def _smallest_step(dice: np.ndarray, rows: np.ndarray) -> str:
    """Say what the worst of the corrections did to the mean, and how sure that is."""
    steps = np.diff(dice, axis=0)
    at = int(steps.mean(axis=1).argmin())
    low, high = interval(steps[at], rows)
    return f"smallest step {steps[at].mean():+.4f} ({low:+.4f} to {high:+.4f}), click {at + 1}"


def _line(dice: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in dice.mean(axis=1))


if __name__ == "__main__":
    main()

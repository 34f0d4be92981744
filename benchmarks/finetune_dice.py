"""What fine-tuning buys on real MRI: Dice before and after, on other subjects than trained on.

``python benchmarks/finetune_dice.py FOLDER [--epochs 40]``: FOLDER holds NAME_img.nii.gz and
NAME_seg.nii.gz. For each anatomy of ``anatomies.py``, the starter's decoder is tuned on some
subjects and compared with the untuned one on others: with tight boxes, and after each of eight
corrections, a click where the mask misses the object and one where it spills, as in the viewer.
Intervals are 95 % of a bootstrap over slices. ``--slices 5 10 20`` trains on so many labelled
slices only, evenly spread. ``--augment 3`` shows so many turned copies of the slices too, and
``--turns 0 1 6`` tests on slices that are turned so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from anatomies import ANATOMIES, Anatomy, lay_out

from napari_samri.datasets import Rules, prepare, read_manifest, write_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.jobs.events import Measured
from napari_samri.models.loading import load_model
from napari_samri.training import TrainConfig, find_objective, fit, small_data
from napari_samri.training.config import turned_bank
from napari_samri.training.losses import mask_dice
from napari_samri.training.objective import MEDICOSAM
from napari_samri.training.pairs import pairs_of
from napari_samri.training.plan import micro_batches
from napari_samri.training.source import BankSource
from napari_samri.training.step import answers, numbers_needed
from napari_samri.training.validate import ValidationSet
from napari_samri.work import EmbedConfig, embed_bank

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


def turned_copy(bank: Path, split: str, turn: int, out: Path) -> Path:
    """Embed the slices of one split of a bank's data once more, turned."""
    path = bank.with_name("manifest.json")
    manifest = read_manifest(path)
    studies = tuple(study for study in manifest.studies if study.split == split)
    part = path.with_name(f"{split}.json")
    write_manifest(part, replace(manifest, studies=studies))
    list(embed_bank(EmbedConfig(manifest=part, out=out, device="cpu", turn=turn)))
    return out


def tune(bank: Path, out: Path, objective: str, epochs: int, augment: int = 0) -> Path | None:
    """Tune the starter; return its best decoder, or None if it was never better."""
    masks = len(pairs_of(Bank(bank), "train"))
    config = TrainConfig(bank=bank, out=out, objective=find_objective(objective), device="cpu")
    config = replace(small_data(config, masks), epochs=epochs, split_slices=True, augment=augment)
    for turn in range(1, augment + 1):
        turned_copy(bank, "train", turn, turned_bank(config, turn))
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
    network = load_model(model, "cpu").network
    source = BankSource(bank, torch.device("cpu"))
    chosen = ValidationSet.of(pairs_of(bank, "test"), 300, 4)
    objective = replace(MEDICOSAM, p_box=1, distortion=0, p_mask=0, n_steps=steps)
    generator = np.random.default_rng(0)
    dice, rows = [], []
    for piece in micro_batches(chosen.groups, 16):
        numbers = generator.random((chosen.masks, numbers_needed(steps)), dtype=np.float32)
        samples = source.to_samples(source.read(piece), numbers)
        if samples is None:
            continue
        found = [
            mask_dice(answer > 0, samples.truth).numpy()
            for answer, _ in answers(network, samples, objective)
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
    parser.add_argument("--augment", type=int, default=0, help="turned copies to train on")
    parser.add_argument("--turns", type=int, nargs="+", default=[0], help="of the test's slices")
    options = parser.parse_args()
    for anatomy, slices in product(options.anatomies, options.slices):
        print(f"{anatomy}" + (f", {slices} slices" if slices else ""), flush=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = make_bank(options.data, folder / "bank", ANATOMIES[anatomy], slices)
            tests = {
                turn: Bank(turned_copy(path, "test", turn, folder / f"test-{turn}.zarr"))
                for turn in options.turns
            }
            before = {turn: scores(bank, "starter", 8) for turn, bank in tests.items()}
            for turn, (dice, _) in before.items():
                print(f"  starter, turned {turn}: {dice[0].mean():.3f}; clicks {_line(dice)}")
            for objective in options.objectives:
                best = tune(path, folder / objective, objective, options.epochs, options.augment)
                if best is None:
                    print(f"  {objective}: never better than the starter on its validation")
                    continue
                for turn, bank in tests.items():
                    _compare(f"{objective}, turned {turn}", scores(bank, best, 8), before[turn])


def _compare(name: str, after: tuple[Any, Any], before: tuple[Any, Any]) -> None:
    (dice, rows), (dice_before, _) = after, before
    gain = dice[0] - dice_before[0]
    low, high = interval(gain, rows)
    print(
        f"  {name}: {dice[0].mean():.3f} ({gain.mean():+.3f}, {low:+.3f} to {high:+.3f}) on "
        f"{len(rows)} masks; clicks {_line(dice)}; {_smallest_step(dice, rows)}",
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

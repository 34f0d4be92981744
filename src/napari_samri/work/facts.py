"""What there is to train on, and the numbers that suit it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets import Rules, choose_slices, read_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.training import (
    TrainConfig,
    find_objective,
    is_held_out,
    small_data,
    split_pairs,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.datasets import Manifest, SliceEntry
    from napari_samri.geometry import Volume

# SAMRI shows 5,000 masks of each data set in an epoch, in batches of 1,024: with fewer, most of
# them would come again and again within few and rough steps.
FEW_MASKS = 5000
SUGGESTED = ("epochs", "batch", "quota", "learning_rate", "rate_decay", "patience")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What there is to train on.

    Parameters
    ----------
    train, validation : int
        Masks.
    people : int
        Whose scans are trained on.
    by_slices : bool
        Whether slices are validated on, not people.
    """

    train: int
    validation: int
    people: int
    by_slices: bool

    @property
    def few(self) -> bool:
        """Whether these are few masks, for which a run has numbers of its own."""
        return self.train < FEW_MASKS

    @property
    def text(self) -> str:
        """For people."""
        scans = "1 patient" if self.people == 1 else f"{self.people:,} patients"
        text = f"{self.train:,} masks of {scans} to train on"
        if not self.validation:
            return f"{text}; none to validate on, so nothing tells when to stop."
        if self.by_slices:
            return (
                f"{text}, {self.validation:,} on other slices of the same scans to validate on. "
                "Their Dice says how well these scans are learned, not how other people's come "
                "out."
            )
        return f"{text}, {self.validation:,} of other patients to validate on."


def facts_of_bank(path: Path) -> Facts:
    """Look at what there is to train on in a bank; takes a moment.

    Raises
    ------
    InputError, StoreError
        If it is no bank, or there are no labels to train on.
    """
    with Bank(path) as bank:
        if not len(bank):
            message = (
                f"{path}: no part of this bank is complete yet. Embed the same data set into it "
                "again: it goes on where it stopped."
            )
            raise InputError(message)
        people = split_pairs(bank)
        pairs = split_pairs(bank, split_slices=True)
    if not len(pairs["train"]):
        message = (
            f"{path}: no labels in its training split; expected at least one. Prepare the data "
            "set with other shares or another seed, or add studies."
        )
        raise InputError(message)
    return Facts(
        train=len(pairs["train"]),
        validation=len(pairs["validation"]),
        people=len(np.unique(pairs["train"].patient)),
        by_slices=len(pairs["validation"]) != len(people["validation"]),
    )


def facts_of_manifest(path: Path) -> Facts:
    """Look at what there is to train on in a manifest; takes a moment.

    Raises
    ------
    InputError
        If it is no manifest, or there are no labels to train on.
    """
    manifest = read_manifest(path)
    config = TrainConfig(bank=path, out=path, split_slices=True)
    masks = masks_in(manifest, config)
    if not masks["train"]:
        message = f"{path}: no labels in its training split; expected at least one."
        raise InputError(message)
    splits = {study.split for study in manifest.studies if study.slices}
    return Facts(
        train=masks["train"],
        validation=masks["validation"],
        people=len({study.patient for study in manifest.studies if study.split == "train"}),
        by_slices="validation" not in splits,
    )


def masks_to_learn(config: TrainConfig, manifest: Path | None) -> int:
    """Return how many masks a run trains on, of a manifest or of its bank.

    Raises
    ------
    InputError
        If that cannot be read.
    """
    if manifest is not None:
        return masks_in(read_manifest(manifest), config)["train"]
    with Bank(config.bank) as bank:
        splits = split_pairs(
            bank,
            split_slices=config.split_slices,
            components=config.components,
            least_pixels=config.objective.least_pixels,
        )
        return len(splits["train"])


def masks_in(manifest: Manifest, config: TrainConfig) -> dict[str, int]:
    """Return how many masks of a manifest are trained and validated on, as `split_pairs` does."""
    counts = {"train": 0, "validation": 0}
    for study in manifest.studies:
        if study.split in counts:
            counts[study.split] += sum(_objects(entry, config) for entry in study.slices)
    if not config.split_slices or counts["validation"]:
        return counts
    for study in manifest.studies:
        if study.split == "train":
            for place, entry in enumerate(study.slices):
                if is_held_out(place, len(study.slices)):
                    counts["train"] -= _objects(entry, config)
                    counts["validation"] += _objects(entry, config)
    return counts


def _objects(entry: SliceEntry, config: TrainConfig) -> int:
    """Return the objects on a slice that a run takes."""
    large = [r for r in entry.regions if r.pixels >= config.objective.least_pixels]
    return sum(max(1, r.components) if config.components else 1 for r in large)


def facts_of_volume(name: str, volume: Volume, labels: NDArray[Any]) -> Facts:
    """Look at what there is to train on in one volume with labels of its shape; takes a moment.

    Raises
    ------
    InputError
        If there are no labels.
    """
    axis = int(np.argmin(volume.spatial_shape))
    chosen = choose_slices(volume.spatial(), labels.astype(np.uint16), axis, Rules())
    found = [len(each.regions) for each in chosen.slices]
    if not found:
        message = (
            f"the labels on '{name}' are empty, or too small: at least 10 pixels on a slice "
            "are expected. Draw some first."
        )
        raise InputError(message)
    held_out = [count for place, count in enumerate(found) if is_held_out(place, len(found))]
    return Facts(
        train=sum(found) - sum(held_out),
        validation=sum(held_out),
        people=1,
        by_slices=bool(held_out),
    )


def suggested_numbers(
    facts: Facts | None, *, few: bool, objective: str = "samri-bp"
) -> dict[str, Any]:
    """Return what a run begins with, on few masks or on many: epochs, batch, and so on."""
    config = TrainConfig(bank=Path(), out=Path(), objective=find_objective(objective))
    if few:
        config = small_data(config, facts.train if facts else FEW_MASKS)
    return {name: getattr(config, name) for name in SUGGESTED}

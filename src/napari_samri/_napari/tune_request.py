"""What the Fine-tune widget is asked to do: a frozen request, and the files that it needs first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_samri._napari.embed_request import (
    SOURCE_SUFFIXES,
    LayerPair,
    prepared,
    slug,
    write_pair,
)
from napari_samri.datasets import Rules, choose_slices, write_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError, SamriError
from napari_samri.filenames import expand_user, stem_of
from napari_samri.places import home_folder
from napari_samri.training import find_objective, is_held_out, split_pairs

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from napari_samri.jobs import Cancel, Progressed

# SAMRI shows 5,000 masks of each data set in an epoch, in batches of 1,024: with fewer, most of
# them would come again and again within few and rough steps.
FEW_MASKS = 5000
LAYERS, MANIFEST = "layers", "manifest.json"
# Somebody who draws labels on one scan wants to train on them.
_ALL_FOR_TRAINING = Rules(train=1, validation=0, test=0)


@dataclass(frozen=True, eq=False, kw_only=True)
class TuneRequest:
    """Train a decoder, or find out how long that takes.

    Parameters
    ----------
    source : path or LayerPair
        A bank, or layers, which are embedded on the way.
    out : path
        Folder of the run.
    model, device, objective : str
    epochs, batch : int
    quota : int or None
    learning_rate, rate_decay : float
    patience : int
    split_slices : bool
        Validate on slices if there are no people for it.
    components : bool
        Whether each piece of a label is an object of its own.
    augment : int
        Turned copies of the layers' slices that are shown too; a bank has none.
    only_estimate : bool
    """

    source: Path | LayerPair
    out: Path
    model: str = "starter"
    device: str = "auto"
    objective: str = "simple"
    epochs: int = 100
    batch: int = 32
    quota: int | None = None
    learning_rate: float = 1e-4
    rate_decay: float = 1.0
    patience: int = 15
    split_slices: bool = True
    components: bool = False
    augment: int = 0
    only_estimate: bool = False

    @property
    def title(self) -> str:
        """For people."""
        what = "Estimating time and memory" if self.only_estimate else "Fine-tuning"
        return f"{what}: {self.out.name}"

    def arguments(self, manifest: Path | None) -> list[str]:
        """Return the command line; of layers, with the manifest that was made of them."""
        source = ["--from-manifest", str(manifest)] if manifest else [str(self.source)]
        numbers = {
            "epochs": self.epochs,
            "batch": self.batch,
            "quota": self.quota or 0,
            "learning-rate": self.learning_rate,
            "rate-decay": self.rate_decay,
            "patience": self.patience,
        }
        return [
            *("finetune", *source, "--out", str(self.out), "--model", self.model),
            *("--device", self.device, "--objective", self.objective),
            *(word for name, value in numbers.items() for word in (f"--{name}", str(value))),
            *(("--split-slices",) if self.split_slices else ()),
            *(("--components",) if self.components else ()),
            *(("--augment", str(self.augment)) if self.augment and manifest else ()),
            *(("--estimate",) if self.only_estimate else ()),
        ]


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


def facts_of(source: Path | LayerPair) -> Facts:
    """Look at what there is to train on; takes a moment.

    Raises
    ------
    InputError
        If it is no bank, or there are no labels to train on.
    """
    if isinstance(source, LayerPair):
        return _of_layers(source)
    try:
        return _of_bank(source)
    except SamriError as error:
        # By its name: the widget is narrow.
        raise type(error)(str(error).replace(str(source), source.name)) from error


def existing_bank(path: Path | None) -> Path:
    """Return a bank's folder.

    Raises
    ------
    InputError
        If none was chosen, or nothing lies there.
    """
    if path is None or not path.name:
        message = (
            "there is no bank yet; choose the folder of one (the Embed widget makes them), or the "
            "open layers."
        )
        raise InputError(message)
    path = expand_user(path).absolute()
    if not path.is_dir():
        message = f"{path}: there is no such folder; expected a bank, NAME.zarr."
        raise InputError(message)
    return path


def run_folder(path: Path | None) -> Path:
    """Return the folder of a run.

    Raises
    ------
    InputError
        If none was chosen, it would lie nowhere, or it is a file.
    """
    if path is None or not path.name:
        message = "there is no place for the result yet; choose a folder, which may be new."
        raise InputError(message)
    path = expand_user(path).absolute()
    if path.exists() and not path.is_dir():
        message = f"{path}: is a file; expected a folder for the result, which may be new."
        raise InputError(message)
    if not path.parent.is_dir():
        message = f"{path}: the folder {path.parent} does not exist; make it first."
        raise InputError(message)
    return path


def suggested_run(source: Path | LayerPair, unfinished: Path | None = None) -> Path:
    """Return a folder for a run, beside its source: that of an unfinished run, or a new one."""
    if isinstance(source, LayerPair):
        file = source.image.grid.path
        first = (file.parent if file else home_folder()) / f"{slug(source.name)}_tuned"
    else:
        first = source.with_name(f"{stem_of(source, SOURCE_SUFFIXES)}_tuned")
    number, path = 1, first
    while path.exists() and path != unfinished:
        number += 1
        path = first.with_name(f"{first.name}-{number}")
    return path


def suggested_numbers(
    facts: Facts | None, *, few: bool, objective: str = "samri-bp"
) -> dict[str, Any]:
    """Return what a run begins with, on few masks or on many: epochs, batch, and so on."""
    from napari_samri.training import TrainConfig, small_data

    config = TrainConfig(bank=Path(), out=Path(), objective=find_objective(objective))
    if few:
        config = small_data(config, facts.train if facts else FEW_MASKS)
    names = ("epochs", "batch", "quota", "learning_rate", "rate_decay", "patience")
    return {name: getattr(config, name) for name in names}


def ready_layers(
    pair: LayerPair, folder: Path, cancel: Cancel
) -> Generator[Progressed, None, tuple[Path, tuple[str, ...]]]:
    """Write layers into a folder as a data set of one patient, all of it for training.

    Yields
    ------
    Progressed

    Returns
    -------
    manifest : pathlib.Path
    notes : tuple of str

    Raises
    ------
    Cancelled
        If `cancel` says so.
    InputError, StoreError
        If nothing can be used, or a file cannot be written.
    """
    source = write_pair(folder / LAYERS, pair)
    manifest, notes = yield from prepared(source, cancel, _ALL_FOR_TRAINING)
    write_manifest(folder / MANIFEST, manifest)
    return folder / MANIFEST, (*manifest.problems, *notes)


def _of_bank(path: Path) -> Facts:
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


def _of_layers(pair: LayerPair) -> Facts:
    volume = pair.image
    axis = int(np.argmin(volume.spatial_shape))
    labels = pair.labels.astype(np.uint16)
    found = [len(s.regions) for s in choose_slices(volume.spatial(), labels, axis, Rules()).slices]
    if not found:
        message = (
            f"the labels on '{pair.name}' are empty, or too small: at least 10 pixels on a slice "
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

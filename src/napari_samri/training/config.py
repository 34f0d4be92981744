"""What a training run is to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path  # noqa: TC003  # what tasks hold is read by its annotations
from typing import Any

from napari_samri.errors import OptionError
from napari_samri.geometry import TURNS
from napari_samri.options import DEVICE, FAMILY, MODEL, option
from napari_samri.training.objective import (
    OBJECTIVES,
    OPTIMISERS,
    SAMRI_BP,
    Objective,
    recipe_of,
)

_COUNTS = (
    *("epochs", "batch", "micro_batch", "masks_per_slice", "quota"),
    *("validate_every", "validate_masks"),
)

# Stands for what the objective was trained with as published: see `Recipe`.
_AS_PUBLISHED: Any = None
# Of what a step computes. A run that was begun with other arithmetic is not gone on with.
_ARITHMETIC = 2


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run; the defaults are SAMRI's where they do not depend on the machine.

    Parameters
    ----------
    bank : pathlib.Path
        Sealed by ``napari-samri embed``.
    out : pathlib.Path
        Folder of the run; a run that was stopped goes on where it was.
    model : str
        Id of the model to start from, or a checkpoint; its encoder has to be the bank's.
    family : str, optional
        Preprocessing of a checkpoint given by path.
    objective : Objective
    epochs : int
    batch : int
        Masks per optimiser step, over all ranks.
    micro_batch : int
        Masks at once on a device; gradients of several are added up to the batch.
    masks_per_slice : int
        Masks of a slice that share one decoder call.
    quota : int or None
        Masks per data set and epoch; None: all, once.
    optimiser, learning_rate, weight_decay, rate_decay
        See `Recipe`; by default as the objective was published, and `masks_per_slice` too.
    patience : int
        Stop after so many epochs without a better validation; 0: never.
    validate_every : int
        Epochs.
    validate_masks : int
        At most so many masks of a split are validated on.
    split_slices : bool
        Validate on blocks of slices of the training split where there is no patient for that.
    components : bool
        Each connected piece of a label is an object of its own, with its own box; else one box
        goes around all pieces.
    augment : int
        Of so many turned and flipped copies of the slices, at most 7, and the slices themselves,
        an epoch shows one, by chance. The copies are banks of their own: see `turned_bank`.
    seed : int
    device : str

    Raises
    ------
    OptionError
        If a number makes no sense.
    """

    bank: Path
    out: Path
    model: str = option("starter", MODEL, help="model to start from, or a checkpoint")
    family: str | None = option(None, FAMILY)
    objective: Objective = option(
        SAMRI_BP,
        label="Objective",
        choices=tuple(OBJECTIVES),
        tip="simple: a box or a point, and the quality estimate too; the usual choice for few "
        "labels. samri-box: one box per object, where it is long moved by up to 5 pixels of 256. "
        "samri-bp: such a box and a point (SAMRI's method, for large data). medsam: a box up to "
        "20 pixels of 256 too large on each side, as MedSAM was tuned. medicosam: boxes or "
        "points, then eight corrections by clicks, and the quality estimate; about nine times "
        "slower. Choose it if you correct masks by clicks",
        help="samri-box, samri-bp, medsam, simple or medicosam",
    )
    split_slices: bool = option(
        False, help="validate on blocks of slices if there are no patients for it", form=False
    )
    components: bool = option(
        False,
        text="Each piece by itself",
        tip="On: each connected piece of a label on a slice is an object with a box of its own, "
        "such as lesions of one kind. Off: one box goes around all pieces of a label",
        help="each connected piece of a label is an object, not all of them together",
    )
    augment: int = option(
        0,
        label="Turned copies",
        low=0,
        high=TURNS - 1,
        metavar="N",
        tip="So many turned and flipped copies of each slice are embedded and shown too, 3: "
        "quarter turns. For scans that will lie otherwise than these",
        help="show N turned and flipped copies of the slices too (up to 7; 3: quarter turns); "
        "they are embedded into RUN, for which a manifest is needed",
    )
    epochs: int = option(
        200,
        label="Epochs",
        low=1,
        tip="Rounds through the masks, each time with new prompts; with few masks all of them, "
        "with many 5,000 of each data set. The best epoch is kept",
        help="200 by default",
    )
    batch: int = option(
        1024,
        label="Batch",
        low=1,
        tip="Masks per step. Memory does not depend on it: 8 at a time are computed",
        help="masks per optimiser step over all processes; 1024 by default",
    )
    micro_batch: int = option(8, help="masks at once on a device; 8 by default", form=False)
    masks_per_slice: int = option(
        _AS_PUBLISHED,
        help="masks that share a decoder call; by default the objective's: 4 or 5",
        form=False,
    )
    quota: int | None = option(
        5000,
        help="masks per data set and epoch, 5000 by default; 0: all of them, once",
        form=False,
    )
    optimiser: str = _AS_PUBLISHED
    learning_rate: float = option(
        _AS_PUBLISHED,
        label="Learning rate",
        tip="1e-4 for few labels; 1e-5 is SAMRI's for hundreds of thousands. Higher learns "
        "faster, and forgets more",
        help="1e-5 by default",
    )
    weight_decay: float = option(
        _AS_PUBLISHED,
        help="by default the objective's: 0.1 of samri, 0 of medsam, else 0.01",
        form=False,
    )
    rate_decay: float = option(
        _AS_PUBLISHED,
        help="factor of the rate per epoch; by default the objective's: 1 or 0.9",
        form=False,
    )
    patience: int = option(
        0,
        label="Patience",
        low=0,
        tip="Stop after so many epochs without a better validation; 0: never",
        help="stop after so many epochs without a better validation; 0: never",
    )
    validate_every: int = option(1, help="epochs; 1 by default", form=False)
    validate_masks: int = option(
        1000, help="at most so many masks per split; 1000 by default", form=False
    )
    seed: int = option(0, help="0 by default", form=False)
    device: str = option("auto", DEVICE)

    def __post_init__(self) -> None:
        for name, value in asdict(recipe_of(self.objective)).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                message = f"{name.replace('_', ' ')} is {value}; expected at least 1."
                raise OptionError(message, name)
        if self.patience < 0 or self.weight_decay < 0:
            message = (
                f"patience is {self.patience} and weight decay {self.weight_decay}; expected at "
                "least 0."
            )
            raise OptionError(message, "patience", "weight_decay")
        if self.augment not in range(TURNS):
            message = f"{self.augment} turned copies; expected 0 to {TURNS - 1}."
            raise OptionError(message, "augment")
        if self.optimiser not in OPTIMISERS or not 0 < self.rate_decay <= 1:
            message = (
                f"the optimiser is {self.optimiser!r} and the rate's decay {self.rate_decay}; "
                f"expected one of {', '.join(OPTIMISERS)}, and above 0 up to 1."
            )
            raise OptionError(message, "optimiser", "rate_decay")
        if not 0 < self.learning_rate < 1:
            message = f"the learning rate is {self.learning_rate}; expected above 0 and below 1."
            raise OptionError(message, "learning_rate")

    def as_dict(self) -> dict[str, Any]:
        """Return the run as JSON values."""
        return {**asdict(self), "bank": str(self.bank), "out": str(self.out)}

    def identity(self) -> str:
        """Return as JSON all that the numbers of a run depend on, beside bank and model."""
        free = ("bank", "out", "device", "epochs", "micro_batch", "patience")
        content = {name: value for name, value in self.as_dict().items() if name not in free}
        return json.dumps({**content, "arithmetic": _ARITHMETIC}, sort_keys=True)


def turned_bank(config: TrainConfig, turn: int) -> Path:
    """Return where the bank of a turned copy of the slices lies: in the run's folder."""
    return config.out / f"turned-{turn}.zarr"


def small_data(config: TrainConfig, masks: int) -> TrainConfig:
    """Return a run for 5 to 50 labelled slices: many short epochs, and early stopping.

    Parameters
    ----------
    config : TrainConfig
    masks : int
        Masks in the training split.
    """
    return replace(
        config,
        epochs=100,
        batch=max(4, min(32, masks // 4)),
        quota=None,
        learning_rate=1e-4,
        rate_decay=1.0,
        patience=15,
        validate_every=1,
    )

"""What a training run is to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError
from napari_samri.geometry import TURNS
from napari_samri.training.objective import OPTIMISERS, SAMRI_BP, Objective, recipe_of

if TYPE_CHECKING:
    from pathlib import Path

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
    InputError
        If a number makes no sense.
    """

    bank: Path
    out: Path
    model: str = "starter"
    family: str | None = None
    objective: Objective = field(default_factory=lambda: SAMRI_BP)
    epochs: int = 200
    batch: int = 1024
    micro_batch: int = 8
    masks_per_slice: int = _AS_PUBLISHED
    quota: int | None = 5000
    optimiser: str = _AS_PUBLISHED
    learning_rate: float = _AS_PUBLISHED
    weight_decay: float = _AS_PUBLISHED
    rate_decay: float = _AS_PUBLISHED
    patience: int = 0
    validate_every: int = 1
    validate_masks: int = 1000
    split_slices: bool = False
    components: bool = False
    augment: int = 0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, value in asdict(recipe_of(self.objective)).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                message = f"{name.replace('_', ' ')} is {value}; expected at least 1."
                raise InputError(message)
        if self.patience < 0 or self.weight_decay < 0:
            message = (
                f"patience is {self.patience} and weight decay {self.weight_decay}; expected at "
                "least 0."
            )
            raise InputError(message)
        if self.augment not in range(TURNS):
            message = f"{self.augment} turned copies; expected 0 to {TURNS - 1}."
            raise InputError(message)
        if self.optimiser not in OPTIMISERS or not 0 < self.rate_decay <= 1:
            message = (
                f"the optimiser is {self.optimiser!r} and the rate's decay {self.rate_decay}; "
                f"expected one of {', '.join(OPTIMISERS)}, and above 0 up to 1."
            )
            raise InputError(message)
        if not 0 < self.learning_rate < 1:
            message = f"the learning rate is {self.learning_rate}; expected above 0 and below 1."
            raise InputError(message)

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

"""How long a run will take, and how much memory: measured on a few of its own steps."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_samri.errors import Cancelled
from napari_samri.jobs import never
from napari_samri.models import resolve_device
from napari_samri.training.loop import make_run
from napari_samri.training.plan import Group, micro_batches
from napari_samri.training.ranks import Ranks
from napari_samri.training.step import numbers_needed
from napari_samri.training.validate import ValidationSet

if TYPE_CHECKING:
    from napari_samri.jobs import Cancel
    from napari_samri.training.config import TrainConfig
    from napari_samri.training.run import Run

_STEPS = 3
_ENOUGH_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Masks of a training set: of the training split, and that are validated on."""

    train: int
    validation: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will take if it does all its epochs.

    Parameters
    ----------
    seconds : float
        Of training and validation, without loading the model.
    memory_bytes : int or None
        Most that a process had while it was measured; None where that cannot be told.
    device_bytes : int or None
        Most of a GPU's memory; None on other devices.
    masks : int
        Per epoch.
    """

    seconds: float
    memory_bytes: int | None
    device_bytes: int | None
    masks: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def estimate(config: TrainConfig, counts: Counts | None = None, cancel: Cancel = never) -> Estimate:
    """Take a few steps of a run, and throw them away.

    Parameters
    ----------
    config : TrainConfig
        Its folder is left alone.
    counts : Counts, optional
        Of the training set that is meant, if the bank is only a sample of it.
    cancel : callable
        Tells whether to stop.

    Raises
    ------
    Cancelled
        If `cancel` says so.
    InputError, ModelError
        If the run could not begin.
    """
    device = str(resolve_device(config.device))
    with tempfile.TemporaryDirectory() as folder:
        probe = replace(config, out=Path(folder))
        run = make_run(probe, Ranks(), device, cancel)
        known = counts or Counts(
            train=len(run.plan.row), validation=sum(v.masks for v in run.validation.values())
        )
        per_mask, per_answer = _seconds_per_mask(run), _seconds_per_answer(run)
        run.bank.close()
    masks = known.train if config.quota is None else run.plan.samples
    validated = min(known.validation, config.validate_masks) / config.validate_every
    return Estimate(
        seconds=config.epochs * (masks * per_mask + validated * per_answer),
        memory_bytes=_peak_memory(),
        device_bytes=_peak_of_device(run.model.device),
        masks=masks,
    )


def _seconds_per_mask(run: Run) -> float:
    """Time steps: the first, which sets things up, does not count unless it is the only one."""
    pieces = micro_batches(run.plan.batches(0)[0], run.micro_batch)
    numbers = run.plan.numbers(0, numbers_needed(run.config.objective.n_steps))
    seconds, masks = 0.0, 0
    begun = time.perf_counter()
    for number, piece in enumerate(islice(pieces * (_STEPS + 1), _STEPS + 1)):
        begin = time.perf_counter()
        sums = run.optimiser.begin()
        samples = run.source.to_samples(run.source.read(piece), numbers)
        if samples is not None:
            run.optimiser.add(sums, samples, piece, run.cancel)
        _go_on(run)
        run.optimiser.finish(sums)
        if number == 1:
            seconds, masks = 0.0, 0
        seconds += time.perf_counter() - begin
        masks += sum(len(group.labels) for group in piece)
        if number and time.perf_counter() - begun > _ENOUGH_SECONDS:
            break
    return seconds / max(1, masks)


def _seconds_per_answer(run: Run) -> float:
    """Time validation, on a few masks, whose split does not matter for that."""
    groups = [
        Group(group.row, group.labels, tuple(range(len(group.labels))))
        for group in run.plan.batches(0)[0][:_STEPS]
    ]
    masks = sum(len(group.labels) for group in groups)
    only = replace(run, validation={"validation": ValidationSet(groups, masks)})
    begin = time.perf_counter()
    only.validated()
    _go_on(run)
    return (time.perf_counter() - begin) / masks


def _go_on(run: Run) -> None:
    if run.cancel():
        message = "stopped; nothing was estimated, and nothing is kept"
        raise Cancelled(message)


def _peak_memory() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_of_device(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None

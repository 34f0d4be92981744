"""Validation: Dice for the objective's own prompts, in the low-resolution frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_samri.jobs import run_ahead
from napari_samri.models import fast_products
from napari_samri.training.losses import mask_dice
from napari_samri.training.plan import Group, micro_batches, share_of
from napari_samri.training.step import answers, numbers_needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.jobs import Cancel
    from napari_samri.models import Network
    from napari_samri.training.objective import Objective
    from napari_samri.training.pairs import Pairs
    from napari_samri.training.ranks import Ranks
    from napari_samri.training.source import BankSource
    from napari_samri.training.step import Samples

_READ_AHEAD = 2
_SEED = 20


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """Masks to validate on, always the same ones.

    Parameters
    ----------
    groups : list of Group
    masks : int
    """

    groups: list[Group]
    masks: int

    @classmethod
    def of(cls, pairs: Pairs, most: int, masks_per_slice: int) -> ValidationSet:
        """Choose up to so many masks, evenly over the pairs."""
        count = min(most, len(pairs))
        chosen = np.linspace(0, max(0, len(pairs) - 1), count).round().astype(np.int64)
        of_row: dict[int, list[tuple[int, int]]] = {}
        for number, place in enumerate(chosen):
            of_row.setdefault(int(pairs.row[place]), []).append((int(pairs.label[place]), number))
        groups = [
            Group(row, tuple(label for label, _ in part), tuple(number for _, number in part))
            for row, found in of_row.items()
            for begin in range(0, len(found), masks_per_slice)
            for part in [found[begin : begin + masks_per_slice]]
        ]
        return cls(groups, count)

    def numbers(self, per_sample: int) -> NDArray[np.float32]:
        """Return the chance in their prompts: always the same, whatever the run."""
        generator = np.random.default_rng(_SEED)
        return generator.random((max(1, self.masks), per_sample), dtype=np.float32)


@torch.no_grad()
def mean_dice(
    network: Network,
    source: BankSource,
    chosen: ValidationSet,
    objective: Objective,
    micro_batch: int,
    ranks: Ranks,
    cancel: Cancel,
) -> float | None:
    """Return the mean Dice over masks and ranks (NaN if there are none), or None if stopped.

    Prompts are those of the objective: boxes and points in its own shares, moved as in training,
    the same ones in every epoch. Where an objective corrects, the mean is over all rounds: a
    decoder is better if its masks are good with every number of clicks.
    """
    numbers = chosen.numbers(numbers_needed(objective.n_steps))
    pieces = micro_batches(share_of(chosen.groups, ranks.rank, ranks.ranks), micro_batch)
    total, count, stop = 0.0, 0, False
    reads = run_ahead(map(source.read, pieces), _READ_AHEAD)
    try:
        for read in reads:
            stop = cancel()
            if stop:
                break
            samples = source.to_samples(read, numbers)
            if samples is None:
                continue
            for masks in own_answers(network, samples, objective):
                dice = mask_dice(masks, samples.truth)
                total += float(dice.sum())
                count += len(dice)
    finally:
        reads.close()
    total, masks_seen, stopping = ranks.sum_numbers([total, count, stop])
    # The mean of a part of the split would be compared with that of all of it.
    if stopping:
        return None
    return total / masks_seen if masks_seen else math.nan


@fast_products()
@torch.no_grad()
def own_answers(network: Network, samples: Samples, objective: Objective) -> list[torch.Tensor]:
    """Return masks (N, L, L) for an objective's prompts, and after each correction."""
    return [answer > 0 for answer, _ in answers(network, samples, objective)]


def plain_answers(
    network: Network, samples: Samples, objective: Objective, corrections: int = 0
) -> list[torch.Tensor]:
    """Return masks (N, L, L) for boxes as they are, and after corrections.

    Corrections are clicks alone, as in the viewer.
    """
    plain = replace(
        objective,
        jitter=0,
        distortion=0,
        p_box=1,
        p_mask=0,
        n_steps=corrections,
        central_point=True,
    )
    return own_answers(network, samples, plain)

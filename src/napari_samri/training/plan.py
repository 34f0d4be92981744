"""Which masks an epoch trains on, and in which batches: the same for every rank and resumption.

References
----------
SAMRI lets every data set contribute up to a quota of samples per epoch, small ones repeatedly
and large ones in part, so that an epoch is nearly uniform over data sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_ORDER, _PROMPTS, _TURNS = 0, 1, 2


@dataclass(frozen=True)
class Group:
    """Masks on one slice, which share its embedding.

    Parameters
    ----------
    row : int
        Of the bank.
    labels : tuple of int
        One per mask; a label may come twice, with other prompts.
    samples : tuple of int
        Places in the epoch's table of uniform numbers.
    turn : int
        Which copy of the slice is shown.
    """

    row: int
    labels: tuple[int, ...]
    samples: tuple[int, ...]
    turn: int = 0


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """Draws and orders the masks of each epoch.

    Parameters
    ----------
    row, label, dataset : int array (P,)
        The masks there are: slice, label, and number of the data set.
    batch : int
        Masks per optimiser step, about: groups are not torn apart.
    masks_per_slice : int
        At most so many masks of a slice share one decoder call.
    quota : int or None
        Masks per data set and epoch; None: all of them, once.
    seed : int
    copies : int
        Turned ones of each slice, beside it.

    Raises
    ------
    InputError
        If there are no masks, or a number is below 1.
    """

    row: Ints
    label: Ints
    dataset: Ints
    batch: int
    masks_per_slice: int = 4
    quota: int | None = None
    seed: int = 0
    copies: int = 0

    def __post_init__(self) -> None:
        if not len(self.row):
            message = "there are no masks to train on; add labelled slices to the training split."
            raise InputError(message)
        if min(self.batch, self.masks_per_slice, self.quota or 1) < 1:
            message = (
                f"the batch is {self.batch}, the masks per slice {self.masks_per_slice} and the "
                f"quota {self.quota}; expected at least 1."
            )
            raise InputError(message)

    @property
    def samples(self) -> int:
        """Masks per epoch."""
        if self.quota is None:
            return len(self.row)
        return self.quota * len(np.unique(self.dataset))

    def batches(self, epoch: int) -> list[list[Group]]:
        """Return the batches of an epoch, each a list of groups."""
        generator = np.random.default_rng((self.seed, epoch, _ORDER))
        groups = self._turned(self._groups(self._drawn(generator), generator), epoch)
        sizes = np.cumsum([len(group.labels) for group in groups])
        count = max(1, round(self.samples / self.batch))
        # As even as groups allow, instead of a last batch that is small and just as loud.
        bounds = np.searchsorted(sizes, np.arange(1, count) * sizes[-1] / count)
        parts = np.split(np.arange(len(groups)), bounds)
        return [[groups[at] for at in part] for part in parts if len(part)]

    def numbers(self, epoch: int, per_sample: int) -> NDArray[np.float32]:
        """Return uniform numbers (samples, per_sample): all the chance in an epoch's prompts."""
        generator = np.random.default_rng((self.seed, epoch, _PROMPTS))
        return generator.random((self.samples, per_sample), dtype=np.float32)

    def _drawn(self, generator: np.random.Generator) -> Ints:
        """Return the masks of an epoch, in chance order."""
        if self.quota is None:
            return generator.permutation(len(self.row))
        drawn = []
        for number in np.unique(self.dataset):
            every = np.flatnonzero(self.dataset == number)
            # Small sets as often as it takes, no mask much more often than another.
            whole, rest = divmod(self.quota, len(every))
            drawn += [every] * whole + [generator.permutation(every)[:rest]]
        return generator.permutation(np.concatenate(drawn))

    def _groups(self, drawn: Ints, generator: np.random.Generator) -> list[Group]:
        """Put masks of one slice together, and the groups in chance order."""
        of_row: dict[int, list[int]] = {}
        for place, pair in enumerate(drawn):
            of_row.setdefault(int(self.row[pair]), []).append(place)
        groups = []
        for row, places in of_row.items():
            for begin in range(0, len(places), self.masks_per_slice):
                chosen = places[begin : begin + self.masks_per_slice]
                labels = tuple(int(self.label[drawn[place]]) for place in chosen)
                groups.append(Group(row, labels, tuple(chosen)))
        return [groups[at] for at in generator.permutation(len(groups))]

    def _turned(self, groups: list[Group], epoch: int) -> list[Group]:
        """Choose a copy of each group's slice."""
        if not self.copies:
            return groups
        generator = np.random.default_rng((self.seed, epoch, _TURNS))
        turns = generator.integers(0, self.copies + 1, len(groups)).tolist()
        return [replace(group, turn=turn) for group, turn in zip(groups, turns, strict=True)]


def share_of(groups: list[Group], rank: int, ranks: int) -> list[Group]:
    """Return the groups of a batch that a rank does: as many masks as others, nearly."""
    return groups[rank::ranks]


def micro_batches(groups: list[Group], masks: int) -> list[list[Group]]:
    """Cut groups into pieces of up to so many masks; a larger group is torn apart."""
    pieces: list[list[Group]] = []
    held = masks
    for group in chain.from_iterable(_parts_of(each, masks) for each in groups):
        if held + len(group.labels) > masks or not pieces:
            pieces.append([])
            held = 0
        pieces[-1].append(group)
        held += len(group.labels)
    return pieces


def _parts_of(group: Group, masks: int) -> list[Group]:
    return [
        replace(
            group,
            labels=group.labels[begin : begin + masks],
            samples=group.samples[begin : begin + masks],
        )
        for begin in range(0, len(group.labels), masks)
    ]

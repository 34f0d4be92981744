"""Changes of the label array, kept as differences so that many can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Edit:
    """What voxels were and what they became.

    Parameters
    ----------
    where : int64 array (N,)
        Flat indices, in C order, into the label array.
    before, after : array (N,)
        Labels.
    """

    where: NDArray[np.int64]
    before: Array
    after: Array

    def apply(self, labels: Array) -> None:
        """Write the new labels."""
        labels[np.unravel_index(self.where, labels.shape)] = self.after

    def inverse(self) -> Edit:
        """Return the edit that takes this one back."""
        return Edit(self.where, self.after, self.before)


def relabel_edit(labels: Array, old: int, new: int) -> Edit:
    """Return the edit that makes all voxels of one label those of another."""
    where = np.flatnonzero(labels.reshape(-1) == old)
    before = np.full(len(where), old, labels.dtype)
    return Edit(where, before, np.full(len(where), new, labels.dtype))


def paint_edit(
    labels: Array, where: tuple[Array, ...], values: Array | int, locked: Collection[int] = ()
) -> Edit:
    """Return the edit that writes `values` at index arrays `where`, sparing locked labels."""
    before = labels[where]
    after = np.broadcast_to(np.asarray(values, labels.dtype), before.shape)
    free = (before != after) & ~np.isin(before, list(locked)) & ~np.isin(after, list(locked))
    flat = np.ravel_multi_index(where, labels.shape)
    return Edit(flat[free].astype(np.int64), before[free], after[free].copy())

"""The labels of a bank that are trained and validated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets.rules import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.embeddings.bank import Bank

VALIDATION_SPLITS = ("validation", "zero-shot")
_BLOCKS_OF_A_VOLUME = 10
_EVERY, _FIRST = 5, 2


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labels on slices, as columns of equal length: `row`, `label`, `dataset`, `patient`."""

    row: NDArray[np.int64]
    label: NDArray[np.int64]
    dataset: NDArray[np.int64]
    patient: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.row)

    def where(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return some of them."""
        return Pairs(
            self.row[chosen], self.label[chosen], self.dataset[chosen], self.patient[chosen]
        )


def pairs_of(bank: Bank, split: str) -> Pairs:
    """Return the labels on slices of a split that can be seen in the low-resolution frame."""
    chosen = bank.rows["split"][bank.pairs["row"]] == SPLITS.index(split)
    # In a frame of 256 pixels, a label that covers less than one cannot be hit by a prompt.
    shape = bank.rows["slice_shape"][bank.pairs["row"]]
    shrink = (bank.header.low_res_size / shape.max(axis=1)) ** 2 if len(shape) else shape
    area = bank.pairs["area"] * shape.prod(axis=1) * shrink if len(shape) else chosen
    kept = np.flatnonzero(chosen & (np.asarray(area) >= 1))
    rows = bank.pairs["row"][kept].astype(np.int64)
    return Pairs(
        row=rows,
        label=bank.pairs["label"][kept].astype(np.int64),
        dataset=bank.rows["dataset"][rows].astype(np.int64),
        patient=bank.rows["patient"][rows].astype(np.int64),
    )


def split_pairs(bank: Bank, *, split_slices: bool = False) -> dict[str, Pairs]:
    """Return the labels of the training split and of those that are validated on.

    Parameters
    ----------
    bank : Bank
    split_slices : bool
        Where there is no patient to validate on, take blocks of slices from the training split:
        in each volume a fifth of them, in blocks of a tenth of its length. They tell how well
        the rest of the same scans is learned, and nothing about other people.
    """
    pairs = {split: pairs_of(bank, split) for split in ("train", *VALIDATION_SPLITS)}
    if split_slices and not len(pairs["validation"]):
        held_out = _held_out_rows(bank, pairs["train"])
        away = np.isin(pairs["train"].row, held_out)
        pairs["validation"] = pairs["train"].where(away)
        pairs["train"] = pairs["train"].where(~away)
    return pairs


def is_held_out(place: Any, count: int) -> Any:
    """Tell whether the slices at some places among the `count` labelled ones are held out."""
    return place // max(1, count // _BLOCKS_OF_A_VOLUME) % _EVERY == _FIRST


def _held_out_rows(bank: Bank, pairs: Pairs) -> NDArray[np.int64]:
    rows = np.unique(pairs.row)
    volume, place = bank.rows["volume"][rows], bank.rows["slice"][rows]
    held_out = []
    for number in np.unique(volume):
        own = rows[volume == number]
        own = own[np.argsort(place[volume == number], kind="stable")]
        held_out.append(own[is_held_out(np.arange(len(own)), len(own))])
    return np.concatenate(held_out) if held_out else rows

"""The labels of a bank that are trained and validated on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets import SPLITS
from napari_samri.models import find_preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.embeddings.bank import Bank

VALIDATION_SPLITS = ("validation", "zero-shot")
# What is left of the zero-shot split when a tenth has chosen the best decoder: looked at once.
UNTOUCHED = "zero-shot test"
_CHOOSING_SHARE = 0.1
_BLOCKS_OF_A_VOLUME = 10
_EVERY, _FIRST = 5, 2
# An object's number is its label's, and that of its piece beside it: 0 is the whole label.
_PIECES = 1 << 16


@dataclass(frozen=True, eq=False)
class Pairs:
    """Objects on slices, as columns of equal length: `row`, `label`, `dataset`, `patient`.

    Of `label`, see `label_and_piece`; `pixels` are those of the label on the slice.
    """

    row: NDArray[np.int64]
    label: NDArray[np.int64]
    dataset: NDArray[np.int64]
    patient: NDArray[np.int64]
    pixels: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.row)

    def where(self, chosen: NDArray[Any]) -> Pairs:
        """Return some of them, by flags or by places."""
        return Pairs(*(getattr(self, field.name)[chosen] for field in fields(self)))


def label_and_piece(number: int) -> tuple[int, int]:
    """Return the label of an object, and which piece of it: 1 is the largest, 0 is all of it."""
    return number % _PIECES, number // _PIECES


def pairs_of(bank: Bank, split: str, *, components: bool = False, least_pixels: int = 0) -> Pairs:
    """Return the objects of a split that can be seen in the low-resolution frame.

    Parameters
    ----------
    bank : Bank
    split : str
    components : bool
        Whether each piece of a label is an object of its own.
    least_pixels : int
        Of a label on the slice.
    """
    chosen = bank.rows["split"][bank.pairs["row"]] == SPLITS.index(split)
    shape = bank.rows["slice_shape"][bank.pairs["row"]]
    pixels = np.rint(bank.pairs["area"] * shape.prod(axis=1)) if len(shape) else shape[:, 0]
    # Less than one low-resolution pixel cannot be hit by a prompt.
    seen = pixels * low_res_scale(bank, shape).prod(axis=1) >= 1
    kept = np.flatnonzero(chosen & seen & (pixels >= least_pixels))
    rows = bank.pairs["row"][kept].astype(np.int64)
    pairs = Pairs(
        row=rows,
        label=bank.pairs["label"][kept].astype(np.int64),
        dataset=bank.rows["dataset"][rows].astype(np.int64),
        patient=bank.rows["patient"][rows].astype(np.int64),
        pixels=pixels[kept].astype(np.float64),
    )
    return _in_pieces(pairs, bank.pairs["components"][kept]) if components else pairs


def low_res_scale(bank: Bank, shape: NDArray[Any]) -> NDArray[np.float64]:
    """Return low-resolution pixels per pixel (N, 2) along the rows and columns of slices (N, 2)."""
    make_frame = find_preprocessing(bank.header.family).make_frame
    shapes, of_slice = np.unique(shape, axis=0, return_inverse=True)
    extents = [make_frame((int(height), int(width))).low_res_extent for height, width in shapes]
    return (np.array(extents).reshape(-1, 2) / shapes)[of_slice.reshape(-1)]


def _in_pieces(pairs: Pairs, components: NDArray[Any]) -> Pairs:
    """Return an object for each piece of a label; a label of one piece stays whole."""
    counts = np.maximum(1, components).astype(np.int64)
    every = pairs.where(np.repeat(np.arange(len(pairs)), counts))
    first = np.repeat(np.cumsum(counts) - counts, counts)
    piece = np.arange(len(first)) - first + 1
    piece[np.repeat(counts, counts) == 1] = 0
    return replace(every, label=every.label + _PIECES * piece)


def split_pairs(
    bank: Bank,
    *,
    split_slices: bool = False,
    components: bool = False,
    least_pixels: int = 0,
) -> dict[str, Pairs]:
    """Return the objects of the training split and of those that are validated on.

    Parameters
    ----------
    bank : Bank
    split_slices : bool
        Where there is no patient to validate on, take blocks of slices from the training split:
        in each volume a fifth of them, in blocks of a tenth of its length. They tell how well
        the rest of the same scans is learned, and nothing about other people.
    components, least_pixels
        See `pairs_of`.

    Returns
    -------
    dict
        ``train``, ``validation``, and of the zero-shot split ``zero-shot``, a tenth of each data
        set's patients, which choose the best decoder, and ``zero-shot test``, all the others.
    """
    pairs = {
        split: pairs_of(bank, split, components=components, least_pixels=least_pixels)
        for split in ("train", *VALIDATION_SPLITS)
    }
    choosing = _choosing_patients(bank, pairs["zero-shot"])
    pairs[UNTOUCHED] = pairs["zero-shot"].where(~choosing)
    pairs["zero-shot"] = pairs["zero-shot"].where(choosing)
    if split_slices and not len(pairs["validation"]):
        held_out = _held_out_rows(bank, pairs["train"])
        away = np.isin(pairs["train"].row, held_out)
        pairs["validation"] = pairs["train"].where(away)
        pairs["train"] = pairs["train"].where(~away)
    return pairs


def _choosing_patients(bank: Bank, pairs: Pairs) -> NDArray[np.bool_]:
    """Tell which objects are of the tenth of each data set's patients, by a hash of their names.

    At least one patient; a data set of a single one has nobody left for the test.
    """
    chosen = np.zeros(len(pairs), bool)
    for number in np.unique(pairs.dataset):
        own = pairs.dataset == number
        people = sorted(np.unique(pairs.patient[own]), key=lambda who: _hash(bank.patients[who]))
        count = max(1, round(_CHOOSING_SHARE * len(people)))
        chosen |= own & np.isin(pairs.patient, people[:count])
    return chosen


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


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

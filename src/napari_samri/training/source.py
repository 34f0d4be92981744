"""Masks and embeddings from a bank, as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_samri.embeddings.bank import slice_place
from napari_samri.simulate import tight_boxes
from napari_samri.training.pairs import label_and_piece, low_res_scale
from napari_samri.training.step import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank import Bank, SlicePlace
    from napari_samri.training.plan import Group

# A piece of fewer low-resolution pixels is a speck, not an object.
_LEAST_CELLS = 4
_UNKNOWN = np.full(4, np.nan, np.float32)


class BankSource:
    """Reads groups of masks.

    Parameters
    ----------
    bank : Bank
    device : torch.device
    turned : sequence of Bank
        Copies of its slices, turned by 1, 2, ...; they may lack some.
    """

    def __init__(self, bank: Bank, device: torch.device, turned: Sequence[Bank] = ()) -> None:
        self.bank = bank
        self._device = device
        self._turned = [(copy, _rows_by_place(copy)) for copy in turned]
        self._boxes = _Boxes(bank)

    def read(self, groups: Sequence[Group]) -> Any:
        """Read embeddings and masks, on any thread; `to_samples` makes tensors of them."""
        shown = [self._place_of(group) for group in groups]
        values, scale = _stored(shown)
        found = [
            (mask, self._box_of(group, bank, number), at, place)
            for at, (group, (bank, row)) in enumerate(zip(groups, shown, strict=True))
            for labels in [bank.labels(row)]
            for number, place in zip(group.labels, group.samples, strict=True)
            # Resampling may have covered it with a neighbour, or joined it to another piece.
            if (mask := _mask_of(labels, number)).any()
        ]
        masks, boxes, image, places = zip(*found, strict=True) if found else ((), (), (), ())
        return values, scale, masks, boxes, image, list(places)

    def _place_of(self, group: Group) -> tuple[Bank, int]:
        """Return the bank and the row of a group's copy of its slice; the slice if it lacks it."""
        if group.turn:
            copy, rows = self._turned[group.turn - 1]
            row = rows.get(slice_place(*self.bank.slice_of(group.row)))
            if row is not None:
                return copy, row
        return self.bank, group.row

    def _box_of(self, group: Group, bank: Bank, number: int) -> NDArray[np.float32]:
        if bank is not self.bank or bank.header.turn:
            return _UNKNOWN
        return self._boxes.of(group.row, number)

    def to_samples(self, read: Any, numbers: NDArray[np.float32]) -> Samples | None:
        """Return what was read as samples on the device; None if no mask is left."""
        values, scale, masks, boxes, image, places = read
        if not masks:
            return None
        embeddings = torch.from_numpy(np.ascontiguousarray(values)).to(self._device).float()
        if scale is not None:
            factor = torch.from_numpy(np.ascontiguousarray(scale)).to(self._device)
            embeddings *= factor[..., None, None]
        truth = torch.from_numpy(np.stack(masks)).to(self._device)
        known = torch.from_numpy(np.stack(boxes)).to(self._device)
        return Samples(
            features={"image": embeddings},
            image=torch.tensor(image, device=self._device),
            truth=truth,
            numbers=torch.from_numpy(numbers[places]).to(self._device),
            boxes=torch.where(known.isnan(), tight_boxes(truth), known),
        )


class _Boxes:
    """The extent of labels on their slices, in low-resolution pixels: finer than their masks."""

    def __init__(self, bank: Bank) -> None:
        keys = _keys(bank.pairs["row"], bank.pairs["label"])
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._bank = bank
        self._scales = low_res_scale(bank, bank.rows["slice_shape"])

    def of(self, row: int, number: int) -> NDArray[np.float32]:
        """Return the box (4,) of an object, both ends inside; NaN of a piece, which has none."""
        label, piece = label_and_piece(number)
        at = np.searchsorted(self._keys, key := _keys(row, label))
        if piece or at == len(self._keys) or self._keys[at] != key:
            return _UNKNOWN
        box = self._bank.pairs["box_xyxy"][self._order[at]]
        scale = self._scales[row, ::-1]
        return np.concatenate([box[:2] * scale, (box[2:] + 1) * scale - 1]).astype(np.float32)


def _rows_by_place(bank: Bank) -> dict[SlicePlace, int]:
    return {slice_place(*bank.slice_of(row)): row for row in range(len(bank))}


def _stored(places: Sequence[tuple[Bank, int]]) -> tuple[Any, Any]:
    """Return embeddings, and their scales, of rows of several banks of one kind."""
    of_bank: dict[int, list[int]] = {}
    for at, (bank, _) in enumerate(places):
        of_bank.setdefault(id(bank), []).append(at)
    order, parts = [], []
    for own in of_bank.values():
        parts.append(places[own[0]][0].stored_batch([places[at][1] for at in own]))
        order += own
    if len(parts) == 1:
        return parts[0]
    back = np.argsort(order)
    values = np.concatenate([values for values, _ in parts])[back]
    scales = [scale for _, scale in parts if scale is not None]
    return values, np.concatenate(scales)[back] if scales else None


def _keys(row: Any, label: Any) -> Any:
    return np.asarray(row, np.int64) * (1 << 16) + np.asarray(label, np.int64)


def _mask_of(labels: NDArray[Any], number: int) -> NDArray[np.bool_]:
    label, piece = label_and_piece(number)
    mask: NDArray[np.bool_] = labels == label
    return _piece_of(mask, piece) if piece else mask


def _piece_of(mask: NDArray[np.bool_], piece: int) -> NDArray[np.bool_]:
    """Return a piece of a mask, 1 the largest; nothing if there are fewer, or it is a speck."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    if piece > count or np.sort(sizes)[-piece] < _LEAST_CELLS:
        return np.zeros_like(mask)
    return np.asarray(pieces == 1 + np.argsort(-sizes, kind="stable")[piece - 1])

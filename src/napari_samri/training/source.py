"""Masks and embeddings from a bank, as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_samri.training.step import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank import Bank
    from napari_samri.training.plan import Group


class BankSource:
    """Reads groups of masks.

    Parameters
    ----------
    bank : Bank
    device : torch.device
    """

    def __init__(self, bank: Bank, device: torch.device) -> None:
        self.bank = bank
        self._device = device

    def read(self, groups: Sequence[Group]) -> Any:
        """Read embeddings and masks, on any thread; `to_samples` makes tensors of them."""
        values, scale = self.bank.stored_batch([group.row for group in groups])
        masks, image, places = [], [], []
        for number, group in enumerate(groups):
            labels = self.bank.labels(group.row)
            for label, place in zip(group.labels, group.samples, strict=True):
                mask = labels == label
                if mask.any():  # resampling may have covered it with a neighbour
                    masks.append(mask)
                    image.append(number)
                    places.append(place)
        return values, scale, masks, image, places

    def to_samples(self, read: Any, numbers: NDArray[np.float32]) -> Samples | None:
        """Return what was read as samples on the device; None if no mask is left."""
        values, scale, masks, image, places = read
        if not masks:
            return None
        embeddings = torch.from_numpy(np.ascontiguousarray(values)).to(self._device).float()
        if scale is not None:
            factor = torch.from_numpy(np.ascontiguousarray(scale)).to(self._device)
            embeddings *= factor[..., None, None]
        return Samples(
            embeddings=embeddings,
            image=torch.tensor(image, device=self._device),
            truth=torch.from_numpy(np.stack(masks)).to(self._device),
            numbers=torch.from_numpy(numbers[places]).to(self._device),
        )

"""Optimiser steps: gradients of small batches added up to a large one, over all ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from napari_samri.errors import ModelError
from napari_samri.jobs import never
from napari_samri.models import fast_products
from napari_samri.training.step import rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from napari_samri.jobs import Cancel
    from napari_samri.models import Network
    from napari_samri.training.config import TrainConfig
    from napari_samri.training.plan import Group
    from napari_samri.training.ranks import Ranks
    from napari_samri.training.step import Samples

BETAS = (0.9, 0.999)
_TOKENS = ("iou_token.", "mask_tokens.")


@dataclass
class StepSums:
    """What the pieces of a batch add up to on this rank."""

    loss: float = 0.0
    masks: int = 0
    bad_row: int = -1
    left: bool = False  # whether a stop was requested in the middle of it


class Optimiser:
    """Takes steps on the decoder of a network.

    Parameters
    ----------
    network : Network
    config : TrainConfig
    ranks : Ranks
    """

    def __init__(self, network: Network, config: TrainConfig, ranks: Ranks) -> None:
        self.network = network
        self._objective = config.objective
        self._ranks = ranks
        self.parameters = dict(_trained(network.trainable, quality=config.objective.trains_quality))
        network.trainable.requires_grad_(False)
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        groups: list[dict[str, Any]] = [
            {"params": [p for n, p in self.parameters.items() if decays(n, p)]},
            {
                "params": [p for n, p in self.parameters.items() if not decays(n, p)],
                "weight_decay": 0.0,
            },
        ]
        kind = torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW
        self.adam = kind(
            groups, lr=config.learning_rate, betas=BETAS, weight_decay=config.weight_decay
        )
        self._rate, self._rate_decay = config.learning_rate, config.rate_decay

    def set_epoch(self, epoch: int) -> None:
        """Take the learning rate of an epoch, counted from 0."""
        for group in self.adam.param_groups:
            group["lr"] = self._rate * self._rate_decay**epoch

    def begin(self) -> StepSums:
        """Begin a batch."""
        self.adam.zero_grad(set_to_none=False)
        for parameter in self.parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return StepSums()

    @fast_products()
    def add(
        self, sums: StepSums, samples: Samples, groups: list[Group], cancel: Cancel = never
    ) -> None:
        """Add the gradients of a piece of the batch, unless it is left on the way."""
        for loss in rounds(self.network, samples, self._objective):
            whole = loss.sum()
            if not torch.isfinite(whole):
                bad = samples.image[~torch.isfinite(loss)]
                sums.bad_row = groups[int(bad[0])].row if len(bad) else groups[0].row
                break
            sums.left = sums.left or cancel()
            if sums.left:
                return
            whole.backward()
            sums.loss += float(whole.detach())
        sums.masks += len(samples.image)

    def finish(
        self, sums: StepSums, *, stop: bool = False, name_of: Callable[[int], str] = str
    ) -> tuple[float, bool, bool]:
        """Take the step of a batch; tell its mean loss, and whether any rank wants to stop.

        No rank takes the step of a batch that any has left.

        Parameters
        ----------
        sums : StepSums
        stop : bool
            Whether this rank wants to.
        name_of : callable
            Returns what people call a row of the bank.

        Returns
        -------
        loss : float
        stop : bool
        taken : bool

        Raises
        ------
        ModelError
            On all ranks, if the loss of any was not finite; no step is taken then.
        """
        own = [sums.loss, float(sums.masks), sums.bad_row >= 0, stop or sums.left, sums.left]
        loss, masks, bad, stopping, left = self._ranks.sum_numbers([float(n) for n in own])
        if bad:
            where = f"on {name_of(sums.bad_row)}" if sums.bad_row >= 0 else "on another rank"
            message = (
                f"the loss is not finite {where}; training has stopped, and the last good "
                "checkpoint is kept. Look at that slice and its labels, or lower the learning rate."
            )
            raise ModelError(message)
        if left:
            return 0.0, True, False
        if masks:
            self._ranks.sum_gradients(list(self.parameters.values()))
            for parameter in self.parameters.values():
                if parameter.grad is not None:
                    parameter.grad /= masks
            self.adam.step()
        return loss / max(1.0, masks), bool(stopping), True


def decays(name: str, parameter: torch.nn.Parameter) -> bool:
    """Tell whether a parameter decays: matrices do, biases, norms and tokens do not."""
    return parameter.ndim > 1 and not name.startswith(_TOKENS)


def _trained(decoder: nn.Module, *, quality: bool) -> list[tuple[str, torch.nn.Parameter]]:
    """Return the parameters that get a loss.

    Without a loss on the predicted IoU, its head and the candidates' own networks would only
    decay. A bias of attention's keys moves all its logits alike, which softmax does not see: its
    gradient is nothing but rounding errors, which Adam would blow up to whole steps.
    """
    heads = ("iou_prediction_head.", *(f"output_hypernetworks_mlps.{n}." for n in (1, 2, 3)))
    return [
        (name, parameter)
        for name, parameter in decoder.named_parameters()
        if (quality or not name.startswith(heads)) and not name.endswith("k_proj.bias")
    ]

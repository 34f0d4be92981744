"""Processes that train together: sums over all ranks, by torch.distributed if it runs.

One all-reduce per step: gradients, loss, number of masks, and whether something went wrong or
a stop was requested, so that all ranks decide alike.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Ranks:
    """One process among those that train together.

    Parameters
    ----------
    rank, ranks : int
    device : torch.device, optional
        Through which numbers go to other ranks.
    """

    def __init__(self, rank: int = 0, ranks: int = 1, device: torch.device | str = "cpu") -> None:
        self.rank = rank
        self.ranks = ranks
        self._device = device

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and reports."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all ranks."""
        if self.ranks > 1:
            dist.all_reduce(values)
        return values

    def sum_numbers(self, values: Sequence[float]) -> list[float]:
        """Return the sum of each number over all ranks, in double precision."""
        if self.ranks == 1:
            return list(values)  # not by way of the device: Apple's GPUs have no doubles
        found = self.sum(torch.tensor(values, dtype=torch.float64, device=self._device))
        return [float(value) for value in found]

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace gradients by their sums over all ranks, in one message."""
        if self.ranks == 1:
            return
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([grad.flatten() for grad in grads]))
        for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def wait(self) -> None:
        """Wait for all ranks."""
        if self.ranks > 1:
            dist.barrier()


@contextmanager
def joined_ranks(device: torch.device) -> Iterator[Ranks]:
    """Join the ranks that torchrun has started, if it has started this process."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        yield Ranks()
        return
    on_gpus = device.type == "cuda"
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device if on_gpus else "cpu")
    finally:
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """Return the GPU of this rank, of several on one machine."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device

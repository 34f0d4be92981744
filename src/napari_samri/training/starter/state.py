"""The state of a training run on disk, so that a run that was stopped goes on where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save

from napari_samri.atomic import replacing
from napari_samri.codec import with_digest
from napari_samri.models import check_digest

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_state(
    path: Path,
    step: int,
    network: nn.Module,
    averaged: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write weights, their average and the optimiser's moments after `step` steps, atomically."""
    tensors = {f"model.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in averaged.items()}
    for name, parameter in network.named_parameters():
        moments = optimizer.state.get(parameter, {})
        tensors |= {f"{key}.{name}": moments[key] for key in _MOMENTS if key in moments}
    plain = {
        k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()
    }
    with replacing(path) as temporary:
        temporary.write_bytes(with_digest(save(plain, metadata={"step": str(step)})))


def load_state(
    path: Path,
    network: nn.Module,
    averaged: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    """Read what `save_state` wrote into the given objects; return the number of steps done.

    Raises
    ------
    ModelError
        If its bytes are not those that were written.
    """
    check_digest(path)
    with safe_open(path, framework="pt") as file:
        network.load_state_dict({k: file.get_tensor(f"model.{k}") for k in network.state_dict()})
        for name, value in averaged.items():
            value.copy_(file.get_tensor(f"average.{name}"))
        stored = set(file.keys())
        for name, parameter in network.named_parameters():
            if f"exp_avg.{name}" in stored:
                optimizer.state[parameter] = {
                    key: _like(file.get_tensor(f"{key}.{name}"), parameter, key) for key in _MOMENTS
                }
        return int(file.metadata()["step"])


def _like(value: torch.Tensor, parameter: torch.Tensor, key: str) -> torch.Tensor:
    return value if key == "step" else value.to(parameter.device)

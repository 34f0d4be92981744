"""The state of a run on disk: weights, moments and how far it is, whole or not at all.

No random state is in it: all chance in a run is a function of its seed and the epoch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_samri.atomic import replacing
from napari_samri.codec import (
    any_object,
    integer,
    matches_digest,
    parse_json,
    reader_of,
    to_plain,
    with_digest,
)
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_samri.training.optimise import Optimiser

FILE = "state.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_HINT = "Choose another folder to begin anew."
_Count = Annotated[int, integer(0)]


@dataclass
class RunState:
    """How far a run is.

    Parameters
    ----------
    epoch, batch : int
        The next batch of the next epoch.
    loss_sum : float
        Of the batches of this epoch that are done.
    best : dict of str to float
        Best Dice by split, so far.
    best_epoch : int
        When the first of them was last improved; 0 is the model that was started from.
    validated : int
        The last epoch that was validated.
    """

    epoch: _Count = 0
    batch: _Count = 0
    loss_sum: float = 0.0
    best: dict[str, float] = field(default_factory=dict)
    best_epoch: _Count = 0
    validated: _Count = 0


def save_state(path: Path, state: RunState, optimiser: Optimiser, identity: str) -> None:
    """Write the state of a run.

    Raises
    ------
    StoreError
        If the disk refuses; the state before is still there.
    """
    tensors = {f"model.{n}": p for n, p in optimiser.network.trainable.named_parameters()}
    for name, parameter in optimiser.parameters.items():
        moments = optimiser.adam.state.get(parameter, {})
        tensors |= {f"{key}.{name}": moments[key] for key in _MOMENTS if key in moments}
    metadata = {"state": json.dumps(to_plain(state)), "identity": identity}
    content = with_digest(save({k: _plain(v) for k, v in tensors.items()}, metadata=metadata))
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load_state(path: Path, optimiser: Optimiser, identity: str) -> RunState:
    """Bring a decoder and its optimiser to a state that was saved.

    Raises
    ------
    InputError
        If the file is damaged, or of a run with other numbers. The optimiser is then as before.
    """
    metadata, tensors = _read(path)
    _check_identity(path, metadata.get("identity", "{}"), identity)
    state = parse_json(
        metadata.get("state", ""), reader_of(RunState), f"{path}: its state", hint=_HINT
    )
    weights = dict(optimiser.network.trainable.named_parameters())
    _check_shapes(path, tensors, weights)
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(tensors[f"model.{name}"])
    for name, parameter in optimiser.parameters.items():
        if f"exp_avg.{name}" in tensors:
            optimiser.adam.state[parameter] = {
                key: _like(tensors[f"{key}.{name}"], parameter, key) for key in _MOMENTS
            }
    return state


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return the texts and tensors of a file that is as it was written."""
    try:
        # Those of earlier versions have no digest.
        if matches_digest(path) is False:
            message = (
                f"{path}: a damaged state: the digest (sha256) of its bytes is not the one that "
                f"was written with them. {_HINT}"
            )
            raise InputError(message)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return dict(file.metadata() or {}), tensors
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        message = f"{path}: a damaged state ({error}). {_HINT}"
        raise InputError(message) from error


def _check_shapes(
    path: Path, tensors: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]
) -> None:
    """Compare all tensors with the weights that they are for, before any is taken over."""
    expected = {f"model.{name}": weight.shape for name, weight in weights.items()}
    for name, weight in weights.items():
        if any(f"{key}.{name}" in tensors for key in _MOMENTS):
            expected |= {f"{key}.{name}": weight.shape for key in _MOMENTS[:2]}
            expected |= {f"{_MOMENTS[2]}.{name}": torch.Size([])}
    found = {name: value.shape for name, value in tensors.items() if value.is_floating_point()}
    if found != expected:
        name = min(name for name in found | expected if found.get(name) != expected.get(name))
        message = (
            f"{path}: a damaged state: the tensor {name[:80]!r} is {_shape(found.get(name))}; "
            f"expected {_shape(expected.get(name))}. {_HINT}"
        )
        raise InputError(message)


def _shape(shape: torch.Size | None) -> str:
    return "not there" if shape is None else f"of the shape {tuple(shape)}"


def _check_identity(path: Path, found: str, expected: str) -> None:
    if found == expected:
        return
    before = parse_json(found, any_object, f"{path}: what its run was", hint=_HINT)
    now = json.loads(expected)
    changed = sorted(name for name in before | now if before.get(name) != now.get(name))
    if "arithmetic" in changed:
        message = (
            f"{path.parent}: an earlier version of napari-samri began the run in this folder, and "
            "computes steps otherwise. Go on with it with that version, or choose another folder "
            "for the result."
        )
        raise InputError(message)
    message = (
        f"{path.parent}: a run with other numbers is in this folder (differing: "
        f"{', '.join(changed)}). Give the same ones to go on with it, or choose another folder for "
        "the result."
    )
    raise InputError(message)


def _plain(value: torch.Tensor) -> torch.Tensor:
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _like(value: torch.Tensor, parameter: torch.Tensor, key: str) -> Any:
    return value if key == "step" else value.to(parameter.device)

"""The state of a run on disk: weights, moments and how far it is, whole or not at all.

No random state is in it: all chance in a run is a function of its seed and the epoch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_samri.errors import InputError, StoreError
from napari_samri.io.atomic import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.training.optimise import Optimiser

FILE = "state.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


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

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    best: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    validated: int = 0


def save_state(path: Path, state: RunState, optimiser: Optimiser, identity: str) -> None:
    """Write the state of a run.

    Raises
    ------
    StoreError
        If the disk refuses; the state before is still there.
    """
    tensors = {f"model.{n}": p for n, p in optimiser.decoder.decoder.named_parameters()}
    for name, parameter in optimiser.parameters.items():
        moments = optimiser.adam.state.get(parameter, {})
        tensors |= {f"{key}.{name}": moments[key] for key in _MOMENTS if key in moments}
    metadata = {"state": json.dumps(asdict(state)), "identity": identity}
    try:
        with replacing(path) as temporary:
            save_file({k: _plain(v) for k, v in tensors.items()}, temporary, metadata=metadata)
    except SafetensorError as error:
        message = f"{path}: cannot be written ({error}). The state before it is kept; make room."
        raise StoreError(message) from error


def load_state(path: Path, optimiser: Optimiser, identity: str) -> RunState:
    """Bring a decoder and its optimiser to a state that was saved.

    Raises
    ------
    InputError
        If the file is damaged, or of a run with other numbers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_identity(path, metadata.get("identity", "{}"), identity)
            with torch.no_grad():
                for name, parameter in optimiser.decoder.decoder.named_parameters():
                    parameter.copy_(file.get_tensor(f"model.{name}"))
            stored = set(file.keys())
            for name, parameter in optimiser.parameters.items():
                if f"exp_avg.{name}" in stored:
                    optimiser.adam.state[parameter] = {
                        key: _like(file.get_tensor(f"{key}.{name}"), parameter, key)
                        for key in _MOMENTS
                    }
            return RunState(**json.loads(metadata["state"]))
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        message = f"{path}: a damaged state ({error}); choose another folder to begin anew."
        raise InputError(message) from error


def _check_identity(path: Path, found: str, expected: str) -> None:
    if found == expected:
        return
    before, now = json.loads(found), json.loads(expected)
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

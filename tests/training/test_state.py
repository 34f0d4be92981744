"""What a run has saved comes back bit for bit, or is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_samri.codec import DIGEST
from napari_samri.errors import InputError
from napari_samri.training.state import RunState, load_state, save_state

if TYPE_CHECKING:
    from pathlib import Path

STATE = RunState(epoch=3, batch=2, loss_sum=0.5, best={"validation": 0.75}, best_epoch=2)
IDENTITY = json.dumps({"seed": 3})


def optimiser_of(seed: int, *, steps: int = 0) -> Any:
    """Return what of an optimiser is in a state; its bias is not trained."""
    torch.manual_seed(seed)
    network = torch.nn.Linear(4, 3)
    parameters = {"weight": network.weight}
    adam = torch.optim.Adam(parameters.values(), lr=0.1)
    for _ in range(steps):
        adam.zero_grad()
        network(torch.ones(2, 4)).pow(2).sum().backward()
        adam.step()
    return SimpleNamespace(
        network=SimpleNamespace(trainable=network), parameters=parameters, adam=adam
    )


def numbers(optimiser: Any) -> dict[str, torch.Tensor]:
    found = {k: v.clone() for k, v in optimiser.network.trainable.state_dict().items()}
    for name, parameter in optimiser.parameters.items():
        moments = optimiser.adam.state.get(parameter, {})
        found |= {f"{key}.{name}": value.clone() for key, value in moments.items()}
    return found


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(v, other[k]) for k, v in one.items())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "state.safetensors"
    save_state(path, STATE, optimiser_of(1, steps=2), IDENTITY)
    return path


def test_there_and_back(saved: Path) -> None:
    other = optimiser_of(2)
    assert load_state(saved, other, IDENTITY) == STATE
    assert same(numbers(other), numbers(optimiser_of(1, steps=2)))


def test_a_flipped_bit_is_refused_and_nothing_taken_over(saved: Path) -> None:
    content = saved.read_bytes()
    other = optimiser_of(2)
    before = numbers(other)
    rng = np.random.default_rng(4)
    for place in [*rng.integers(8, len(content), 60), len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(changed)
        with pytest.raises(InputError, match=r"state\.safetensors: .*damaged"):
            load_state(saved, other, IDENTITY)
    assert same(numbers(other), before)


def rewritten(path: Path, **changes: Any) -> None:
    """Write a state as earlier versions did, without a digest, some entries changed."""
    with safe_open(path, "pt") as file:
        metadata = {k: v for k, v in file.metadata().items() if k != DIGEST}
    tensors = load_file(path)
    for name, value in changes.items():
        target: dict[str, Any] = metadata if isinstance(value, str) else tensors
        if value is None:
            del tensors[name]
        else:
            target[name] = value
    save_file(tensors, path, metadata)


def test_a_state_of_before_digests_goes_on(saved: Path) -> None:
    rewritten(saved)
    other = optimiser_of(2)
    assert load_state(saved, other, IDENTITY) == STATE
    assert same(numbers(other), numbers(optimiser_of(1, steps=2)))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("model.weight", torch.zeros(1, 4), "model.weight"),  # which would be broadcast
        ("model.bias", None, "not there"),
        ("exp_avg.weight", torch.zeros(4), r"\(4,\)"),
        ("exp_avg_sq.weight", None, "exp_avg_sq"),
        ("step.weight", torch.zeros(2), "step"),
        ("step.weight", torch.zeros((), dtype=torch.int64), "step"),
        ("model.other", torch.zeros(2), "model.other"),
        ("state", "[" * 5000, "levels"),
        ("state", "", "JSON"),
        ("state", '{"epoch": -1}', "epoch is -1"),
        ("state", '{"epoch": 1e3}', "epoch"),
        ("state", '{"loss_sum": NaN}', "finite"),
        ("state", '{"best": {"validation": "0.5"}}', "validation"),
        ("state", '{"epochs": 1}', "'epochs'"),
        ("identity", "[" * 5000, "levels"),
        ("identity", "[]", "object"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_taken_over(
    saved: Path, name: str, value: Any, words: str
) -> None:
    rewritten(saved, **{name: value})
    other = optimiser_of(2)
    before = numbers(other)
    with pytest.raises(InputError, match=words) as raised:
        load_state(saved, other, IDENTITY)
    assert "another folder" in str(raised.value)
    assert same(numbers(other), before)

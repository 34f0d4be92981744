"""Real processes: two that train as one, one that is killed, one whose numbers break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# Ten batches per epoch: 20 steps in two epochs.
OPTIONS = ("--objective", "samri-bp", "--epochs", "2", "--batch", "3", "--masks-per-slice", "2")
OPTIONS += ("--quota", "0", "--micro-batch", "2", "--learning-rate", "1e-4", "--device", "cpu")
OPTIONS += ("--validate-masks", "4")


def command(bank: Path, out: Path, *options: str) -> list[str]:
    return ["napari_samri", "finetune", str(bank), "--out", str(out), *OPTIONS, *options]


def start(words: list[str], ranks: int = 1) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m"]
    if ranks > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
    return subprocess.Popen(
        [*launcher, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    return errors


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "state.safetensors")


@pytest.fixture(scope="module")
def alone(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    finish(start(command(bank, out)))
    return out


def test_two_ranks_train_as_one(bank: Path, alone: Path, tmp_path: Path) -> None:
    errors = finish(start(command(bank, tmp_path), ranks=2))
    assert errors.count("masks to do") == 1  # one rank speaks for both
    one, two = weights(alone), weights(tmp_path)
    assert float(one["step.mask_tokens.weight"]) >= 18
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_killed_and_gone_on_with(bank: Path, alone: Path, tmp_path: Path) -> None:
    words = command(bank, tmp_path)
    for steps in (1, 12, 3):  # in the first epoch, in the second, and again in it
        process = start(["tests.training.dying", str(steps), *words[1:]])
        process.communicate(timeout=400)
        assert process.returncode == -signal.SIGKILL
    finish(start(words))
    one, other = weights(alone), weights(tmp_path)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_rank_whose_loss_is_not_finite_stops_both(bank: Path, tmp_path: Path) -> None:
    words = ["tests.training.breaking", *command(bank, tmp_path)[1:]]
    process = start(words, ranks=2)
    _, errors = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "not finite on row 3 of the bank" in errors
    assert "not finite on another rank" in errors

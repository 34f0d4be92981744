"""The script for SLURM: one that a shell can read, and that asks for the very same run."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_samri.cli.finetune import config_of
from napari_samri.cli.program import main, parser
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = (
    "--objective samri-box --code-compat --split-slices --components --epochs 7 --quota 0 --seed 5"
)


def test_the_script_asks_for_the_same_run(tmp_path: Path) -> None:
    script = tmp_path / "tune.sbatch"
    words = ["finetune", str(tmp_path / "a bank.zarr"), "--out", str(tmp_path / "run")]
    words += shlex.split(OPTIONS)
    assert main([*words, "--sbatch", str(script)]) == 0
    subprocess.run(["bash", "-n", str(script)], check=True)
    line = script.read_text().splitlines()[-1]
    again = shlex.split(line)[2:]  # after -m napari_samri
    assert config_of(parser().parse_args(again)) == config_of(parser().parse_args(words))


def test_a_quota_below_nothing_is_refused(tmp_path: Path) -> None:
    words = ["finetune", str(tmp_path), "--out", str(tmp_path / "run"), "--quota", "-1"]
    with pytest.raises(InputError, match="--quota is -1"):
        config_of(parser().parse_args(words))


def test_switches_are_off_by_themselves(tmp_path: Path) -> None:
    words = ["finetune", str(tmp_path), "--out", str(tmp_path / "run")]
    plain = config_of(parser().parse_args(words))
    assert not plain.split_slices
    assert config_of(parser().parse_args([*words, "--split-slices"])) == replace(
        plain, split_slices=True
    )

"""The verb `embed`: options, messages, exit codes."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from napari_samri.cli import main
from napari_samri.embeddings.bank import Bank, read_header
from napari_samri.jobs.events import Finished, line_to_event
from tests.work.making import make_data

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import CaptureFixture  # noqa: PT013


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", 2)


def test_a_bank_of_either_quantisation(manifest: Path, tmp_path: Path) -> None:
    for quantisation in ("float16", "int8"):
        out = tmp_path / f"{quantisation}.zarr"
        arguments = ["embed", str(manifest), "--out", str(out), "--quantise", quantisation]
        assert main([*arguments, "--device", "cpu"]) == 0
        assert read_header(out).quantisation == quantisation
        assert len(Bank(out)) == 16


def test_studies_that_were_left_out_are_listed(
    manifest: Path, tmp_path: Path, capsys: CaptureFixture[str]
) -> None:
    (manifest.parent / "case1_seg.nii.gz").unlink()
    assert main(["embed", str(manifest), "--out", str(tmp_path / "bank.zarr")]) == 3
    shown = capsys.readouterr().err
    assert "problem: left out: case1_img.nii.gz" in shown
    assert "case1_seg.nii.gz: there is no such file" in shown
    assert "1 studies could not be read" in shown


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "--out is missing"),
        (["--out", "bank.zarr", "--rank", "0"], "--rank and --of belong together"),
        (["--out", "bank.zarr", "--rank", "2", "--of", "2"], "expected 0 to 1"),
        (["--out", "bank.zarr", "--model", "nothing"], "nothing"),
        (["--out", "bank.zarr", "--dask", "tcp://127.0.0.1:1"], "no Dask scheduler answers"),
    ],
)
def test_what_cannot_be_done_is_refused(
    manifest: Path,
    capsys: CaptureFixture[str],
    options: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(manifest.parent)
    if "--dask" in options:
        pytest.importorskip("distributed")
    assert main(["embed", str(manifest), *options]) == 2
    assert text in capsys.readouterr().err


def test_something_else_at_the_place_of_the_bank_is_left_alone(
    manifest: Path, capsys: CaptureFixture[str]
) -> None:
    before = sorted(manifest.parent.iterdir())
    assert main(["embed", str(manifest), "--out", str(manifest.parent)]) == 2
    assert "not an embedding bank" in capsys.readouterr().err
    assert sorted(manifest.parent.iterdir()) == before


def test_the_script_for_slurm_is_one_that_a_shell_can_read(
    manifest: Path, tmp_path: Path, capsys: CaptureFixture[str]
) -> None:
    script = tmp_path / "embed.sbatch"
    out = tmp_path / "my bank.zarr"
    arguments = ["embed", str(manifest), "--out", str(out), "--of", "4"]
    assert main([*arguments, "--sbatch", str(script)]) == 0
    text = script.read_text()
    assert "#SBATCH --array=0-3" in text
    assert "#SBATCH --requeue" in text
    subprocess.run(["bash", "-n", str(script)], check=True)
    # Run as SLURM would, with srun a command that only runs its arguments.
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "srun").write_text('#!/bin/bash\nexec "$@"\n')
    (fake / "srun").chmod(0o755)
    for rank in range(4):
        subprocess.run(
            ["bash", str(script)],
            check=True,
            env=os.environ | {"PATH": f"{fake}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": str(rank)},
            capture_output=True,
        )
    assert len(Bank(out)) == 16


def test_a_job_is_reported_to_its_folder(manifest: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    arguments = ["embed", str(manifest), "--out", str(tmp_path / "bank.zarr")]
    assert main([*arguments, "--job", str(job)]) == 0
    lines = (job / "events.jsonl").read_text().splitlines()
    assert isinstance(line_to_event(lines[-1]), Finished)

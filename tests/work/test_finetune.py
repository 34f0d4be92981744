"""From images and labels on disk to a decoder, in one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_samri.datasets import Rules
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.jobs import Finished, Problem, Progressed, Stopped
from napari_samri.training import TrainConfig
from napari_samri.work import RUN_BANK, Data, FinetuneTask, run_task
from tests.work.making import make_data, make_study

if TYPE_CHECKING:
    from pathlib import Path


def tuning(folder: Path, out: Path, **rules: float) -> FinetuneTask:
    config = TrainConfig(
        bank=out / RUN_BANK, out=out, epochs=1, batch=8, quota=None, split_slices=True, device="cpu"
    )
    shares = {"train": 1, "validation": 0, "test": 0}
    return FinetuneTask(config=config, data=Data(path=folder, rules=Rules(**shares | rules)))


def test_a_folder_becomes_a_decoder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    make_data(folder, 2)
    (folder / "case1_seg.nii.gz").write_bytes(b"torn")
    out = tmp_path / "run"
    events = list(tuning(folder, out).events())
    assert next(e.what for e in events if isinstance(e, Progressed)) == "studies"
    assert any("case1" in event.text for event in events if isinstance(event, Problem))
    assert isinstance(events[-1], Finished), events[-1]
    assert {study.patient for study in Bank(out / RUN_BANK).studies} == {"case0"}
    assert (out / "best.safetensors").exists() or "no epoch was better" in events[-1].text


def test_cancelled_while_a_folder_is_read_nothing_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make_study(folder, "case", 0)
    *_, last = tuning(folder, tmp_path / "run").events(lambda: True)
    assert isinstance(last, Stopped)
    assert not (tmp_path / "run").exists()


def test_rules_are_those_of_the_task(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make_study(folder, "case", 0)
    with pytest.raises(InputError, match="labels on a slice with too few pixels"):
        list(tuning(folder, tmp_path / "run", min_pixels=10_000).events())


def test_a_job_is_reported_to_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(InputError, match="no layout"):
        run_task(tuning(folder, tmp_path / "run"), tmp_path / "job")
    assert "no layout" in (tmp_path / "job" / "events.jsonl").read_text()

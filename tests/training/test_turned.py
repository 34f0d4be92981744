"""Runs that are shown turned copies of their slices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_samri import load_predictor, load_volume
from napari_samri.cli.finetune import task_of
from napari_samri.cli.program import parser
from napari_samri.datasets import read_manifest, write_manifest
from napari_samri.embeddings import EmbeddingCache
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.geometry import Plane
from napari_samri.geometry.plane import turned
from napari_samri.jobs.events import Finished, Measured, Stopped
from napari_samri.training import TrainConfig
from napari_samri.training.config import turned_bank
from napari_samri.training.objective import SAMRI_BOX
from napari_samri.training.plan import Group
from napari_samri.training.source import BankSource
from napari_samri.work import RUN_BANK
from napari_samri.work.finetune import embed_then_fit
from tests.work.making import make_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_data(tmp_path_factory.mktemp("turned") / "data", 2)
    found = read_manifest(path)
    splits = ("train", "validation")
    studies = [replace(s, split=split) for s, split in zip(found.studies, splits, strict=True)]
    write_manifest(path, replace(found, studies=tuple(studies)))
    return path


def config_of(out: Path) -> TrainConfig:
    return TrainConfig(
        bank=out / RUN_BANK,
        out=out,
        objective=SAMRI_BOX,
        epochs=1,
        batch=8,
        quota=None,
        learning_rate=1e-3,
        augment=2,
        device="cpu",
    )


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    config = config_of(tmp_path_factory.mktemp("run"))
    assert isinstance(list(embed_then_fit(data, config))[-1], Finished)
    return config


def test_copies_are_embedded_anew_and_only_those_that_are_trained_on(
    data: Path, run: TrainConfig
) -> None:
    bank = Bank(run.bank)
    predictor = load_predictor("starter", "cpu", EmbeddingCache())
    for turn in (1, 2):
        copy = Bank(turned_bank(run, turn))
        assert {study.split for study in copy.studies} == {"train"}
        study, entry = copy.slice_of(3)
        pixels = Plane(study.axis, entry.index).extract(load_volume(data.parent / study.image))
        expected = predictor.embed(turned(pixels, turn)).features["image"]
        np.testing.assert_array_equal(copy.embedding(3), expected.astype(np.float16))
        assert np.bincount(copy.labels(3).ravel())[1:].sum() == pytest.approx(
            np.bincount(bank.labels(3).ravel())[1:].sum(), rel=0.1
        )


def test_masks_lie_on_the_copy_that_is_shown(run: TrainConfig) -> None:
    bank = Bank(run.bank)
    copies = [Bank(turned_bank(run, turn)) for turn in (1, 2)]
    source = BankSource(bank, torch.device("cpu"), copies)
    row = int(bank.pairs["row"][0])
    label = int(bank.pairs["label"][0])
    groups = [Group(row, (label,), (at,), at) for at in (0, 1, 2)]
    samples = source.to_samples(source.read(groups), np.zeros((3, 6), np.float32))
    assert samples is not None
    for at, each in enumerate((bank, *copies)):
        np.testing.assert_array_equal(samples.truth[at].numpy(), each.labels(row) == label)
        np.testing.assert_array_equal(samples.features["image"][at].numpy(), each.embedding(row))
    held_out = int(np.flatnonzero(bank.rows["split"] == 1)[0])
    _, *_, places = source.read([Group(held_out, (int(bank.labels(held_out).max()),), (0,), 1)])
    assert places == [0], "a slice that has no copy is shown as it is"


def test_a_run_with_other_copies_is_refused(data: Path, run: TrainConfig) -> None:
    with pytest.raises(InputError, match="differing: augment"):
        list(embed_then_fit(data, replace(run, augment=1)))


def test_stopped_while_it_embeds_copies_and_gone_on_with(
    data: Path, run: TrainConfig, tmp_path: Path
) -> None:
    config = replace(run, out=tmp_path / "run", bank=tmp_path / "run" / RUN_BANK)
    copied = turned_bank(config, 1)
    events = list(embed_then_fit(data, config, copied.exists))
    assert isinstance(events[-1], Stopped)
    assert not any(isinstance(event, Measured) for event in events)
    assert isinstance(list(embed_then_fit(data, config))[-1], Finished)
    whole, parts = (load_file(c.out / "state.safetensors") for c in (run, config))
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


@pytest.mark.parametrize("copies", [-1, 8])
def test_there_are_eight_ways_in_all(copies: int, run: TrainConfig) -> None:
    with pytest.raises(InputError, match="expected 0 to 7"):
        replace(run, augment=copies)


def test_the_command_line_takes_copies_of_images_alone(data: Path, tmp_path: Path) -> None:
    words = ["finetune", "--out", str(tmp_path), "--augment", "3", "--components"]
    options = parser().parse_args([*words, "--from-manifest", str(data)])
    config = task_of(options).config
    assert (config.augment, config.components) == (3, True)
    with pytest.raises(InputError, match="needs images"):
        task_of(parser().parse_args([*words, str(tmp_path / "bank.zarr")]))

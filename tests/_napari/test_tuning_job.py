"""What the Fine-tune widget does, without a window: requests, runs, and the state of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri._napari.embed_request import LayerPair, layer_pair
from napari_samri._napari.model_choice import model_chosen, use_model_in
from napari_samri._napari.preferences import current_settings
from napari_samri._napari.preview_layers import PreviewLayers
from napari_samri._napari.tune_request import (
    Facts,
    TuneRequest,
    existing_bank,
    facts_of,
    run_folder,
    suggested_numbers,
    suggested_run,
)
from napari_samri._napari.tune_run import TuneStatus, TuneTally, TuningRun, find_tunings
from napari_samri._napari.tuning_job import TuningJob
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.jobs.detached import Job
from napari_samri.jobs.events import Finished, Measured, Noted, Progressed, Started
from napari_samri.models import add_tuned
from napari_samri.training.preview import Preview, read_preview
from tests._napari.hands import PATIENCE, Hand
from tests.embeddings.bank.made_up import HEADER, make_part, manifest
from tests.halves import half_discs
from tests.work.making import make_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    hand = Hand()
    yield hand
    for run in find_tunings():
        run.cancel()
    for thread in hand.threads:
        thread.join(PATIENCE)
    hand.until(lambda: not any(run.running for run in find_tunings()))


@pytest.fixture
def pair() -> LayerPair:
    viewer = ViewerModel()
    image, labels = half_discs(8)
    return layer_pair(viewer.add_image(image, name="scan"), viewer.add_labels(labels))


@pytest.fixture
def request_(pair: LayerPair, tmp_path: Path) -> TuneRequest:
    return TuneRequest(
        source=pair,
        out=tmp_path / "run",
        device="cpu",
        objective="samri-box",
        epochs=2,
        batch=4,
        learning_rate=1e-3,
        patience=0,
    )


# The whole, with the real thing


@pytest.mark.slow
def test_layers_become_a_decoder(hand: Hand, request_: TuneRequest, tmp_path: Path) -> None:
    seen: list[Any] = []
    job = TuningJob(hand.relay)
    job.changed.connect(seen.append)
    job.start(request_)
    hand.until(lambda: not job.status.busy)
    status = job.status
    assert status.phase == "finished", status.text
    assert isinstance(status, TuneStatus)
    assert [point["epoch"] for point in status.points] == [0, 1, 2]
    texts = [each.text for each in seen]
    assert any(text.startswith("Embedding: ") for text in texts)
    assert any(text.startswith("Epoch 2 of 2") for text in texts)
    assert status.preview.thumb.shape == status.preview.truth.shape == (2, 256, 256)
    assert status.preview.truth.any()
    assert status.preview.prediction.any()
    bank = Bank(tmp_path / "run" / "bank.zarr")
    assert (len(bank), set(bank.rows["split"])) == (8, {0}), "one patient, who is trained on"
    assert job.best == tmp_path / "run" / "best.safetensors"
    spec = add_tuned(job.best)
    assert spec.base == "starter"

    # It is found again, and more epochs go on where these ended.
    other = TuningJob(hand.relay)
    other.attach()
    hand.until(lambda: not other.status.busy)
    assert other.best == job.best
    assert other.status.points == status.points
    job.start(replace(request_, epochs=4))
    hand.until(lambda: not job.status.busy)
    assert [point["epoch"] for point in job.status.points] == [0, 1, 2, 3, 4]
    for run in find_tunings():
        assert not list(run.jobs[0].folder.rglob("*.nii*")), "no image stays behind"

    # Other labels are refused before anything of the run is touched.
    before = {path: path.read_bytes() for path in request_.out.rglob("*") if path.is_file()}
    labels = request_.source.labels.copy()
    labels[0] = 0
    labels[3, 30:40, 30:40] = 2
    changed = LayerPair("scan", request_.source.image, labels)
    job.start(replace(request_, source=changed, epochs=6))
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "1 slices are new or different, 1 have no labels any more" in job.status.text
    assert job.unfinished == request_.out
    after = {path: path.read_bytes() for path in request_.out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.slow
def test_cancel_keeps_the_best_so_far(hand: Hand, request_: TuneRequest) -> None:
    job = TuningJob(hand.relay)
    job.start(replace(request_, epochs=10_000))  # hours
    hand.until(lambda: job.best is not None)
    job.cancel()
    assert job.status.phase == "stopping"
    assert job.best is not None, "also while it stops"
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "stopped"
    assert job.best.exists()


@pytest.mark.slow
def test_an_estimate_leaves_nothing_behind(hand: Hand, request_: TuneRequest) -> None:
    job = TuningJob(hand.relay)
    job.start(replace(request_, only_estimate=True, epochs=100))
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "finished", job.status.text
    assert "for 100 epochs of 6 masks" in job.status.text
    assert "GB of memory" in job.status.text
    assert job.best is None
    assert not request_.out.exists()
    [run] = find_tunings()
    assert not list(run.jobs[0].folder.rglob("*.nii*")), "no image stays behind"
    other = TuningJob(hand.relay)
    other.attach()
    assert other.status.phase == "idle"


@pytest.mark.slow
def test_what_fails_is_a_sentence(hand: Hand, request_: TuneRequest, tmp_path: Path) -> None:
    job = TuningJob(hand.relay)
    empty = LayerPair(
        "scan", request_.source.image, np.zeros(request_.source.labels.shape, np.uint8)
    )
    job.start(replace(request_, source=empty))
    hand.until(lambda: not job.status.busy)
    assert "are empty" in job.status.text
    assert not request_.out.exists()
    # Two runs in one folder.
    from filelock import FileLock

    request_.out.mkdir()
    with FileLock(request_.out / "run.lock"):
        job.start(request_)
        hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "another run is at work in this folder" in job.status.text
    # Another encoder.
    make_part(tmp_path / "other.zarr", HEADER, manifest(20))
    job.start(replace(request_, source=tmp_path / "other.zarr", out=tmp_path / "other"))
    hand.until(lambda: not job.status.busy)
    assert "Choose a model with the same encoder, or another bank" in job.status.text


# Requests


def test_the_command_line_understands_requests(request_: TuneRequest, tmp_path: Path) -> None:
    from napari_samri.cli.finetune import config_of
    from napari_samri.cli.program import parser

    options = parser().parse_args(request_.arguments(tmp_path / "m.json"))
    config = config_of(options)
    assert config.bank == request_.out / "bank.zarr"
    assert (config.epochs, config.batch, config.quota) == (2, 4, None)
    assert (config.learning_rate, config.patience, config.split_slices) == (1e-3, 0, True)
    bank = replace(request_, source=tmp_path / "b.zarr", quota=7, only_estimate=True)
    options = parser().parse_args(bank.arguments(None))
    assert (config_of(options).bank, config_of(options).quota) == (bank.source, 7)
    assert options.estimate


def test_facts_of_layers(pair: LayerPair) -> None:
    facts = facts_of(pair)
    assert facts == Facts(train=6, validation=2, people=1, by_slices=True)
    assert facts.few
    assert "not how other people's come out" in facts.text
    one = LayerPair("scan", pair.image, np.where(np.arange(8)[:, None, None] == 3, pair.labels, 0))
    assert "none to validate on" in facts_of(one).text
    with pytest.raises(InputError, match="are empty"):
        facts_of(LayerPair("scan", pair.image, pair.labels * 0))


def test_facts_of_banks(bank: Path, tmp_path: Path) -> None:
    facts = facts_of(bank)
    assert (facts.people, facts.by_slices) == (2, False)
    assert facts.validation > 0
    assert "of other patients to validate on" in facts.text
    with pytest.raises(InputError, match="not an embedding bank"):
        facts_of(tmp_path)
    for path, text in ((None, "there is no bank yet"), (tmp_path / "x", "no such folder")):
        with pytest.raises(InputError, match=text):
            existing_bank(path)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from napari_samri.datasets import read_manifest, write_manifest
    from napari_samri.work import EmbedConfig, embed_bank

    folder = tmp_path_factory.mktemp("bank")
    path = make_data(folder / "data", 3)
    found = read_manifest(path)
    splits = ("train", "train", "validation")
    studies = (replace(s, split=p) for s, p in zip(found.studies, splits, strict=True))
    write_manifest(path, replace(found, studies=tuple(studies)))
    out = folder / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=path, out=out, device="cpu")))
    return out


def test_where_runs_go(pair: LayerPair, tmp_path: Path) -> None:
    assert suggested_run(tmp_path / "knees.zarr") == tmp_path / "knees_tuned"
    (tmp_path / "knees_tuned").mkdir()
    assert suggested_run(tmp_path / "knees.zarr") == tmp_path / "knees_tuned-2"
    unfinished = tmp_path / "knees_tuned"
    assert suggested_run(tmp_path / "knees.zarr", unfinished) == unfinished
    assert suggested_run(tmp_path / "hips.zarr", unfinished) == tmp_path / "hips_tuned"
    assert suggested_run(pair).name == "scan_tuned"
    assert run_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "file").touch()
    for path, text in (
        (None, "no place for the result"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "no" / "where", "make it first"),
    ):
        with pytest.raises(InputError, match=text):
            run_folder(path)


def test_numbers_of_small_data() -> None:
    facts = Facts(train=40, validation=0, people=1, by_slices=False)
    few = suggested_numbers(facts, few=True)
    many = suggested_numbers(facts, few=False)
    assert (few["batch"], few["quota"]) == (10, None)
    assert few["learning_rate"] > many["learning_rate"]
    assert few["patience"] > 0
    assert (few["rate_decay"], many["rate_decay"]) == (1, 1)
    assert suggested_numbers(facts, few=False, objective="simple")["rate_decay"] == 0.9


def test_one_volume_is_small_data() -> None:
    facts = Facts(train=553, validation=130, people=1, by_slices=True)
    assert facts.few
    numbers = suggested_numbers(facts, few=facts.few)
    assert numbers["batch"] * 10 < facts.train, "an epoch is many steps"
    assert numbers["learning_rate"] == 1e-4


def test_a_run_is_ended_that_does_not_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    job = Job(tmp_path, "Fine-tuning", details={"out": str(tmp_path)})
    monkeypatch.setattr(Job, "end_overdue", lambda _, grace: asked.append(grace))
    follow = TuningRun([job]).follow(lambda: len(asked) > 2)
    monkeypatch.setattr("napari_samri._napari.embed_run.time.sleep", lambda _: None)
    monkeypatch.setattr(Job, "running", True)
    list(follow)
    assert asked == [20.0] * 3


# Runs


def test_a_tally_tells_of_epochs(tmp_path: Path) -> None:
    details = {"out": str(tmp_path), "epochs": 4}
    tally = TuneTally(TuningRun([Job(tmp_path, "Fine-tuning", details=details)]))
    for event, text in (
        (Noted(text="loading"), "loading"),
        (Started(what="slices", total=8), "Embedding: 0 of 8 slices"),
        (Started(what="masks", total=40), "Epoch 1 of 4"),
        (Progressed(done=10, total=40, seconds_left=30, what="masks"), "Epoch 2 of 4, 30 s left"),
        (Measured(at=0, values={"validation": 0.25}), "Dice 0.250 before training"),
        (Measured(at=1, values={"loss": 1}), "Dice 0.250 before training"),
        (Measured(at=2, values={"loss": 1, "validation": 0.5}), "Dice 0.500"),
    ):
        tally.take(0, event)
        assert text in tally.status.text
    assert "before" not in tally.status.text
    assert not tally.status.problems
    tally.take(0, Noted(text="memory ran out: 4 masks at once from now on"))
    assert "Epoch 2 of 4" in tally.status.text
    assert tally.status.problems == ("memory ran out: 4 masks at once from now on",)
    tally.take(0, Finished(text="done"))
    assert tally.status.phase == "finished"


# In the viewer


def test_a_preview_is_layers_that_follow() -> None:
    thumb = np.zeros((2, 16, 16), np.uint8)
    label = np.ones((2, 16, 16), np.uint16)
    first = Preview(1, np.arange(2), thumb, label, label)
    viewer = ViewerModel()
    shown = PreviewLayers(viewer)
    shown.update(first)
    assert not len(viewer.layers)
    shown.show(first)
    names = ["validation", "predicted, epoch 1", "drawn"]
    assert [layer.name for layer in viewer.layers] == names
    viewer.dims.set_current_step(0, 1)
    shown.show(replace(first, epoch=2, prediction=label * 0))
    assert viewer.layers[1].name == "predicted, epoch 2"
    assert not viewer.layers[1].data.any()
    assert viewer.dims.current_step[0] == 1
    viewer.layers.clear()
    shown.update(replace(first, epoch=3))
    assert not len(viewer.layers)


def test_a_damaged_preview_is_none(tmp_path: Path) -> None:
    assert read_preview(tmp_path) is None
    (tmp_path / "preview.npz").write_bytes(b"PK\x03\x04 torn")
    assert read_preview(tmp_path) is None


def test_a_chosen_model_is_told_and_remembered() -> None:
    heard: list[Any] = []

    def hear(viewer: Any, model: str) -> None:
        heard.append((viewer, model))

    viewer = ViewerModel()
    model_chosen.connect(hear)
    try:
        use_model_in(viewer, "sam-vit-b")
    finally:
        model_chosen.disconnect(hear)
    assert heard == [(viewer, "sam-vit-b")]
    assert current_settings().model == "sam-vit-b"

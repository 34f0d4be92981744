"""What is in the viewer becomes tasks, and files that their processes read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri._napari.banks import PreviewLayers
from napari_samri._napari.layer_tasks import LayerPair, image_in_view, layer_pair, warm_task
from napari_samri._napari.layers import volume_of
from napari_samri._napari.preferences import current_settings, model_chosen, use_model_in
from napari_samri._napari.reader import get_reader
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import Plane
from napari_samri.io import load_volume
from napari_samri.models import add_tuned
from napari_samri.training import TrainConfig
from napari_samri.training.objective import SAMRI_BOX
from napari_samri.training.preview import ValidationSlices
from napari_samri.work import Background, EmbedConfig, EmbedTask, Facts, FinetuneTask
from napari_samri.work.run import find_runs
from tests.embeddings.bank.made_up import HEADER, make_part, manifest
from tests.halves import half_discs
from tests.work.hands import Hand, lent_hand
from tests.work.making import make_study

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield from lent_hand()


@pytest.fixture
def pair() -> LayerPair:
    viewer = ViewerModel()
    image, labels = half_discs(8)
    return layer_pair(viewer.add_image(image, name="scan"), viewer.add_labels(labels))


@pytest.fixture
def task(tmp_path: Path) -> FinetuneTask:
    out = tmp_path / "run"
    config = TrainConfig(
        bank=out / "bank.zarr",
        out=out,
        device="cpu",
        objective=SAMRI_BOX,
        epochs=2,
        batch=4,
        quota=None,
        learning_rate=1e-3,
        split_slices=True,
    )
    return FinetuneTask(config=config)


def changed(task: FinetuneTask, **numbers: Any) -> FinetuneTask:
    return replace(task, config=replace(task.config, **numbers))


def embedding(hand: Hand) -> Background:
    return Background(hand.relay, ("embed", "warm"))


def tuning(hand: Hand) -> Background:
    return Background(hand.relay, ("finetune",))


def run(hand: Hand, job: Background, task: FinetuneTask, pair: LayerPair) -> None:
    job.start(task, pair.tuned(task))
    hand.until(lambda: not job.status.busy)


# Embedding


@pytest.mark.slow
def test_layers_become_a_bank(hand: Hand, tmp_path: Path) -> None:
    """A file's image and labels, and plain arrays that nobody knows the place of."""
    make_study(tmp_path, "case", 0)
    viewer = ViewerModel()
    [(image, options, _)] = _read(tmp_path / "case_img.nii.gz")
    known = viewer.add_image(image, **options)
    [(labels, options, _)] = _read(tmp_path / "case_seg.nii.gz")
    drawn = viewer.add_labels(labels, **options)
    plain = viewer.add_image(image[:, ::-1], name="plain / image")
    marked = viewer.add_labels(labels[:, ::-1], name="plain labels")
    out = tmp_path / "bank.zarr"
    job = embedding(hand)
    for number, pair in enumerate((layer_pair(known, drawn), layer_pair(plain, marked))):
        config = EmbedConfig(manifest=out.with_suffix(".json"), out=out, device="cpu")
        task = EmbedTask(config=config)
        job.start(task, pair.embedded(task))
        hand.until(lambda: not job.status.busy)
        assert job.status.phase == "finished", job.status.text
        assert len(Bank(out).studies) >= number + 1
    files = sorted(path.name for path in (tmp_path / "bank_layers").iterdir())
    assert len(files) == 4
    assert files[0].startswith("case_img-")
    [written] = (tmp_path / "bank_layers").glob("case*_img.nii.gz")
    source, again = nib.load(tmp_path / "case_img.nii.gz"), nib.load(written)
    np.testing.assert_array_equal(source.affine, again.affine)
    np.testing.assert_array_equal(np.asarray(source.dataobj), np.asarray(again.dataobj))
    [written] = (tmp_path / "bank_layers").glob("plain-image*_img.nii.gz")
    np.testing.assert_array_equal(load_volume(written).array, plain.data)
    study = next(study for study in Bank(out).studies if "plain" in study.image)
    assert study.slices


@pytest.mark.slow
@pytest.mark.parametrize("has_file", [True, False])
def test_a_warm_cache_is_the_viewers_own(hand: Hand, tmp_path: Path, has_file: bool) -> None:
    """What was embedded beforehand, the predictor of a viewer finds; also of plain arrays."""
    make_study(tmp_path, "case", 0)
    viewer = ViewerModel()
    [(array, options, _)] = _read(tmp_path / "case_img.nii.gz")
    if not has_file:
        array, options = np.array(array[:, ::-1]), {"name": "plain", "scale": (1, 1, 3)}
    layer = viewer.add_image(array, **options)
    viewer.dims.order = (1, 0, 2)
    task, write = warm_task(viewer, "starter", None, "cpu")
    assert task.axis == 1
    assert (write is None) == has_file
    job = embedding(hand)
    job.start(task, write)
    hand.until(lambda: job.run is not None)
    folder = job.run.jobs[0].folder
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "finished", job.status.text
    assert job.status.made.bank is None
    assert job.status.text.startswith(f"{task.name}: ")
    assert not list(folder.rglob("*.nii*")), "the copy of the image is gone"

    from napari_samri import EmbeddingCache, load_predictor
    from napari_samri.embeddings.cache import cache_dir
    from napari_samri.geometry.intensity import percentile_window

    predictor = load_predictor(device="cpu", cache=EmbeddingCache(cache_dir(), memory_bytes=0))
    window = percentile_window(array) if predictor.needs_window else None
    before = set(Path(cache_dir()).rglob("*"))
    predictor.embed(Plane(1, 7).extract(volume_of(layer)), window=window)
    assert set(Path(cache_dir()).rglob("*")) == before, "it was there"


def test_layers_that_do_not_fit() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((5, 6, 7)))
    labels = viewer.add_labels(np.zeros((5, 6, 8), int))
    flat = viewer.add_image(np.zeros((6, 7)))
    with pytest.raises(InputError, match="choose an image layer"):
        layer_pair(image, None)
    with pytest.raises(GeometryError, match="do not lie on the grid"):
        layer_pair(image, labels)
    with pytest.raises(InputError, match="has 2 axes"):
        layer_pair(flat, labels)


def test_the_volume_in_view() -> None:
    viewer = ViewerModel()
    assert image_in_view(viewer) is None
    with pytest.raises(InputError, match="open one first"):
        warm_task(viewer, "starter", None, "cpu")
    first = viewer.add_image(np.zeros((3, 5, 6, 7)), name="first")
    second = viewer.add_image(np.zeros((5, 6, 7)), name="second")
    viewer.add_labels(np.zeros((5, 6, 7), int))
    assert image_in_view(viewer) is second
    viewer.layers.selection.active = first
    viewer.dims.set_point((0, 1), (2, 3))
    task, write = warm_task(viewer, "starter", "sam", "cpu")
    assert (task.axis, task.time, task.family) == (0, 2, "sam")
    assert write is not None, "it has no file"
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="show the viewer in 2D"):
        warm_task(viewer, "starter", None, "cpu")


# Training


@pytest.mark.slow
def test_layers_become_a_decoder(
    hand: Hand, task: FinetuneTask, pair: LayerPair, tmp_path: Path
) -> None:
    seen: list[Any] = []
    job = tuning(hand)
    job.changed.connect(seen.append)
    run(hand, job, task, pair)
    status = job.status
    assert status.phase == "finished", status.text
    assert [point["epoch"] for point in status.made.points] == [0, 1, 2]
    texts = [each.text for each in seen]
    assert any(text.startswith("Embedding: ") for text in texts)
    assert any(text.startswith("Epoch 2 of 2") for text in texts)
    assert status.made.preview.thumb.shape == status.made.preview.truth.shape == (2, 256, 256)
    assert status.made.preview.truth.any()
    assert status.made.preview.prediction.any()
    bank = Bank(tmp_path / "run" / "bank.zarr")
    assert (len(bank), set(bank.rows["split"])) == (8, {0}), "one patient, who is trained on"
    assert job.status.made.best == tmp_path / "run" / "best.safetensors"
    spec = add_tuned(job.status.made.best)
    assert spec.base == "starter"

    # It is found again, and more epochs go on where these ended.
    other = tuning(hand)
    other.attach()
    hand.until(lambda: not other.status.busy)
    assert other.status.made.best == job.status.made.best
    assert other.status.made.points == status.made.points
    run(hand, job, changed(task, epochs=4), pair)
    assert [point["epoch"] for point in job.status.made.points] == [0, 1, 2, 3, 4]
    for each in find_runs("finetune"):
        assert not list(each.jobs[0].folder.rglob("*.nii*")), "no image stays behind"

    # Other labels are refused before anything of the run is touched.
    before = {path: path.read_bytes() for path in task.config.out.rglob("*") if path.is_file()}
    labels = pair.labels.copy()
    labels[0] = 0
    labels[3, 30:40, 30:40] = 2
    run(hand, job, changed(task, epochs=6), LayerPair("scan", pair.image, labels))
    assert job.status.phase == "failed"
    assert "1 slices are new or different, 1 have no labels any more" in job.status.text
    after = {path: path.read_bytes() for path in task.config.out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.slow
def test_cancel_keeps_the_best_so_far(hand: Hand, task: FinetuneTask, pair: LayerPair) -> None:
    job = tuning(hand)
    task = changed(task, epochs=10_000)  # hours
    job.start(task, pair.tuned(task))
    hand.until(lambda: job.status.made.best is not None)
    job.cancel()
    assert job.status.phase == "stopping"
    assert job.status.made.best is not None, "also while it stops"
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "stopped"
    assert job.status.made.best.exists()


@pytest.mark.slow
def test_an_estimate_leaves_nothing_behind(hand: Hand, task: FinetuneTask, pair: LayerPair) -> None:
    job = tuning(hand)
    run(hand, job, replace(changed(task, epochs=100), estimate=True), pair)
    assert job.status.phase == "finished", job.status.text
    assert "for 100 epochs of 6 masks" in job.status.text
    assert "GB of memory" in job.status.text
    assert job.status.made.best is None
    assert not task.config.out.exists()
    [only] = find_runs("finetune")
    assert not list(only.jobs[0].folder.rglob("*.nii*")), "no image stays behind"
    other = tuning(hand)
    other.attach()
    assert other.status.phase == "idle"


@pytest.mark.slow
def test_what_fails_is_a_sentence(
    hand: Hand, task: FinetuneTask, pair: LayerPair, tmp_path: Path
) -> None:
    job = tuning(hand)
    empty = LayerPair("scan", pair.image, np.zeros(pair.labels.shape, np.uint8))
    run(hand, job, task, empty)
    assert "are empty" in job.status.text
    assert not task.config.out.exists()
    # Two runs in one folder.
    from filelock import FileLock

    task.config.out.mkdir()
    with FileLock(task.config.out / "run.lock"):
        run(hand, job, task, pair)
    assert job.status.phase == "failed"
    assert "another run is at work in this folder" in job.status.text
    # Another encoder.
    make_part(tmp_path / "other.zarr", HEADER, manifest(20))
    job.start(changed(task, bank=tmp_path / "other.zarr", out=tmp_path / "other"))
    hand.until(lambda: not job.status.busy)
    assert "Choose a model with the same encoder, or another bank" in job.status.text


def test_facts_of_layers(pair: LayerPair) -> None:
    facts = pair.facts()
    assert facts == Facts(train=6, validation=2, people=1, by_slices=True)
    assert facts.few
    assert "not how other people's come out" in facts.text
    one = LayerPair("scan", pair.image, np.where(np.arange(8)[:, None, None] == 3, pair.labels, 0))
    assert "none to validate on" in one.facts().text
    with pytest.raises(InputError, match="are empty"):
        LayerPair("scan", pair.image, pair.labels * 0).facts()


def test_where_results_of_layers_go(pair: LayerPair) -> None:
    assert pair.bank.name == "scan.zarr"
    assert pair.run().name == "scan_tuned"


# In the viewer


def test_a_preview_is_layers_that_follow() -> None:
    thumb = np.zeros((2, 16, 16), np.uint8)
    label = np.ones((2, 16, 16), np.uint16)
    first = ValidationSlices(1, np.arange(2), thumb, label, label)
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


def _read(path: Path) -> Any:
    reader = get_reader(str(path))
    assert reader is not None
    return reader(str(path))

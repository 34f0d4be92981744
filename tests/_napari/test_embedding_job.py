"""What the Embed widget does, without a window: requests, runs, and the state of a run."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri._napari import embed_run, embedding_job
from napari_samri._napari.embed_request import (
    EmbedRequest,
    bank_path,
    existing_source,
    image_in_view,
    layer_pair,
    ready_manifest,
    suggested_bank,
    warm_request,
)
from napari_samri._napari.embed_run import Run, Tally, duration, find_runs, start_run
from napari_samri._napari.embedding_job import EmbeddingJob
from napari_samri._napari.reader import get_reader
from napari_samri.datasets import read_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import Cancelled, GeometryError, InputError, StoreError
from napari_samri.geometry import Plane
from napari_samri.io import load_volume
from napari_samri.jobs.detached import Job, start_job
from napari_samri.jobs.events import Failed, Finished, Noted, Problem, Progressed, Started, Stopped
from tests._napari.hands import PATIENCE, Hand
from tests.work.making import make_data, make_study

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hand() -> Iterator[Hand]:
    hand = Hand()
    yield hand
    for run in find_runs():
        run.cancel()
    for thread in hand.threads:
        thread.join(PATIENCE)
    hand.until(lambda: not any(run.running for run in find_runs()))


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs count until they are stopped, rather than embed."""
    _run_module(monkeypatch, "tests.jobs.worker")


def _run_module(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(embed_run, "start_job", partial(start_job, module=module))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), 9)


@pytest.fixture
def request_(manifest: Path, tmp_path: Path) -> EmbedRequest:
    return EmbedRequest(source=manifest, out=tmp_path / "bank.zarr", device="cpu")


# The whole, with the real thing


@pytest.mark.slow
def test_embed_cancel_and_go_on(
    hand: Hand, request_: EmbedRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = EmbeddingJob(hand.relay)
    with monkeypatch.context() as patch:
        _run_module(patch, "tests.work.pausing")  # it waits for Cancel, however late that comes
        job.start(request_)
        hand.until(lambda: job.run is not None)
    hand.until(lambda: job.status.done > 3)
    job.cancel()
    assert job.status.phase == "stopping"
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "stopped"
    assert job.bank is None
    first = job.status.done
    assert 3 < first < 72
    hand.until(lambda: not job.run.running)
    job.start(request_)
    hand.until(lambda: job.status.total)
    hand.until(lambda: not job.status.busy)
    assert (job.status.phase, job.status.done) == ("finished", 72)
    assert job.bank == request_.out
    assert len(Bank(request_.out)) == 72
    assert len(find_runs()) == 1, "of runs before, nothing is left"


@pytest.mark.slow
def test_two_processes_share_the_work(hand: Hand, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    job = EmbeddingJob(hand.relay)
    job.start(EmbedRequest(source=manifest, out=out, device="cpu", workers=2))
    hand.until(lambda: not job.status.busy)
    assert (job.status.phase, job.status.done, job.status.total) == ("finished", 72, 72)
    assert len(Bank(out)) == 72


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
    job = EmbeddingJob(hand.relay)
    for number, pair in enumerate((layer_pair(known, drawn), layer_pair(plain, marked))):
        job.start(EmbedRequest(source=pair, out=out, device="cpu"))
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
    viewer.add_image(array, **options)
    viewer.dims.order = (1, 0, 2)
    request = warm_request(viewer, "starter", "cpu")
    assert request.plane.axis == 1
    job = EmbeddingJob(hand.relay)
    job.start(request)
    hand.until(lambda: job.run is not None)
    folder = job.run.jobs[0].folder
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "finished", job.status.text
    assert job.bank is None
    assert job.status.text.startswith(f"{request.name}: ")
    assert not list(folder.glob("*.nii*")), "the copy of the image is gone"

    from napari_samri import EmbeddingCache, load_predictor
    from napari_samri.embeddings.cache import cache_dir
    from napari_samri.geometry.intensity import percentile_window

    predictor = load_predictor(device="cpu", cache=EmbeddingCache(cache_dir(), memory_bytes=0))
    window = percentile_window(array) if predictor.needs_window else None
    before = set(Path(cache_dir()).rglob("*"))
    predictor.embed(Plane(1, 7).extract(request.image), window=window)
    assert set(Path(cache_dir()).rglob("*")) == before, "it was there"


def test_what_fails_is_a_sentence(hand: Hand, request_: EmbedRequest, tmp_path: Path) -> None:
    job = EmbeddingJob(hand.relay)
    (tmp_path / "bank.json").write_text("mine")
    job.start(EmbedRequest(source=tmp_path, out=tmp_path / "bank.zarr"))
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "there is something else" in job.status.text
    assert (tmp_path / "bank.json").read_text() == "mine"
    job.start(EmbedRequest(source=request_.source, out=request_.out, model="no such model"))
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "no such model" in job.status.text


# The state of a run, with jobs that count


@pytest.mark.usefixtures("counting")
def test_it_goes_on_without_a_window_and_is_found_again(hand: Hand, request_: EmbedRequest) -> None:
    first = EmbeddingJob(hand.relay)
    first.start(request_)
    hand.until(lambda: first.status.done)
    first.close()
    first.close()
    hand.pump()
    second = EmbeddingJob(hand.relay)
    second.attach()
    assert second.status.phase == "running"
    hand.until(lambda: second.status.done > 10)
    assert second.run.bank == request_.out
    with pytest.raises(InputError, match="already; wait for it"):
        second.start(request_)
    second.cancel()
    second.cancel()
    hand.until(lambda: not second.status.busy)
    assert second.status.phase == "stopped"
    third = EmbeddingJob(hand.relay)
    third.attach()
    assert third.status.phase == "idle", "how it ended was told already"


@pytest.mark.usefixtures("counting")
def test_it_ends_with_the_window_if_so_chosen(hand: Hand, request_: EmbedRequest) -> None:
    job = EmbeddingJob(hand.relay, keep=True)
    job.start(request_)
    hand.until(lambda: job.status.done)
    job.keep = False
    job.close()
    [run] = find_runs()
    hand.until(lambda: not run.running)
    again = EmbeddingJob(hand.relay)
    again.attach()
    hand.until(lambda: not again.status.busy)
    assert again.status.phase == "stopped", "nobody was told yet"


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("keep", [True, False])
def test_closed_before_anybody_knew_of_the_run(
    hand: Hand, request_: EmbedRequest, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    entered, going, went = Event(), Event(), Event()

    def slow(*arguments: Any, **options: Any) -> Run:
        entered.set()
        going.wait(PATIENCE)
        run = start_run(*arguments, **options)
        went.set()
        return run

    monkeypatch.setattr(embedding_job, "start_run", slow)
    job = EmbeddingJob(hand.relay, keep=keep)
    job.start(request_)
    assert entered.wait(PATIENCE)
    job.close()
    going.set()
    assert went.wait(PATIENCE)
    hand.threads[-1].join(PATIENCE)
    [run] = find_runs()
    assert (run.jobs[0].folder / "STOP").exists() is not keep


@pytest.mark.usefixtures("counting")
def test_a_run_that_was_killed(hand: Hand, request_: EmbedRequest) -> None:
    from napari_samri.jobs import detached

    job = EmbeddingJob(hand.relay)
    job.start(request_)
    hand.until(lambda: job.status.done)
    detached._own[job.run.jobs[0].folder].kill()
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "Start it again" in job.status.text


def test_cancelled_while_the_data_are_read(tmp_path: Path, request_: EmbedRequest) -> None:
    folder = Path(request_.source).parent
    request = EmbedRequest(source=folder, out=request_.out)
    with pytest.raises(Cancelled, match="nothing was written"):
        list(ready_manifest(request, lambda: True))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_prepared_beside_the_bank(tmp_path: Path, request_: EmbedRequest) -> None:
    folder = tmp_path / "data"
    make_data(folder, 2)
    (folder / "case0_seg.nii.gz").unlink()
    steps = ready_manifest(EmbedRequest(source=folder, out=request_.out), lambda: False)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            path, problems = end.value
            break
    assert [step.done for step in seen] == [1]
    assert path == tmp_path / "bank.json"
    assert len(read_manifest(path).studies) == 1
    assert any("case0" in problem for problem in problems)


def test_how_a_folder_is_read(tmp_path: Path, request_: EmbedRequest) -> None:
    folder = tmp_path / "data"
    make_data(folder, 2)
    how = {"layout": "pairs", "patient_pattern": "case(?P<patient>.)", "channel": 3}
    steps = ready_manifest(EmbedRequest(source=folder, out=request_.out, **how), lambda: False)
    list(steps)
    manifest = read_manifest(tmp_path / "bank.json")
    assert manifest.datasets[0].layout == "pairs"
    assert {study.patient for study in manifest.studies} == {"0", "1"}
    unknown = EmbedRequest(source=folder, out=request_.out, layout="x")
    with pytest.raises(InputError, match="no layout is called"):
        list(ready_manifest(unknown, lambda: False))


# Sums


def tally(count: int) -> Tally:
    jobs = [Job(Path("nowhere"), "Embedding", details={"problems": ["old"]}) for _ in range(count)]
    return Tally(Run(jobs))


def test_sums_over_several_jobs() -> None:
    sums = tally(2)
    sums.take(0, Noted(text="loading"))
    assert (sums.status.text, sums.status.total) == ("loading", 0)
    sums.take(0, Started(what="slices", total=10, done=4))
    assert sums.status.total == 0, "nobody knows yet how much the other one has"
    sums.take(1, Started(what="slices", total=20))
    assert (sums.status.done, sums.status.total) == (4, 30)
    sums.take(0, Progressed(done=5, total=10, seconds_left=30))
    sums.take(1, Progressed(done=1, total=20, seconds_left=1800))
    sums.take(1, Problem(text="torn"))
    sums.take(0, Problem(text="torn"))
    assert sums.status.text == "6 of 30 slices, 30 min left"
    assert sums.status.problems == ("old", "torn")
    sums.take(1, Finished(text="done"))
    assert sums.status.busy
    assert sums.status.text == "6 of 30 slices, 30 s left"
    sums.take(0, Finished(text="done"))
    assert (sums.status.phase, sums.status.text) == ("finished", "All slices are embedded.")


def test_paths_have_names() -> None:
    names = {"/there/bank.zarr": "bank.zarr"}
    sums = Tally(Run([Job(Path("nowhere"), "Embedding", details={"names": names})]))
    sums.take(0, Finished(text="/there/bank.zarr: 9 slices embedded"))
    assert sums.status.text == "bank.zarr: 9 slices embedded"


@pytest.mark.parametrize(
    ("ends", "phase", "text"),
    [
        ((Finished(text="a"),), "finished", "a"),
        ((Finished(text="a"), Stopped(text="b")), "stopped", "b"),
        ((Failed(text="c"), Stopped(text="b")), "failed", "c"),
        ((Failed(text="c"), Failed(text="c")), "failed", "c"),
        ((Failed(text="c"), Failed(text="d")), "failed", "c\nd"),
    ],
)
def test_what_went_worst_counts(ends: tuple[Any, ...], phase: str, text: str) -> None:
    sums = tally(len(ends))
    for number, end in enumerate(ends):
        sums.take(number, end)
    assert (sums.status.phase, sums.status.text) == (phase, text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (7300, "2 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_if_one_cannot_be_started_none_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = []

    def start(arguments: list[str], *_: Any, **__: Any) -> Any:
        if arguments == ["b"]:
            text = "the disk is full"
            raise StoreError(text)
        return type("Started", (), {"cancel": lambda _: cancelled.append(arguments)})()

    monkeypatch.setattr(embed_run, "start_job", start)
    with pytest.raises(StoreError):
        start_run("Both", [["a"], ["b"]])
    assert cancelled == [["a"]]


# Requests


def test_where_banks_go(tmp_path: Path) -> None:
    assert bank_path(tmp_path / "a") == tmp_path / "a.zarr"
    assert bank_path(tmp_path / "a.zarr") == tmp_path / "a.zarr"
    assert bank_path(tmp_path / "A.ZARR") == tmp_path / "A.ZARR"
    assert bank_path(tmp_path / "a.v1") == tmp_path / "a.v1.zarr"
    for nothing in (None, Path()):
        with pytest.raises(InputError, match="no place for the bank"):
            bank_path(nothing)
    with pytest.raises(InputError, match="does not exist; make it first"):
        bank_path(tmp_path / "b" / "a.zarr")


def test_suggestions_lie_beside_the_source(tmp_path: Path, manifest: Path) -> None:
    assert suggested_bank(manifest) == manifest.with_suffix(".zarr")
    folder = manifest.parent
    assert suggested_bank(folder) == folder.with_name(f"{folder.name}.zarr")
    assert suggested_bank(None) is None
    assert suggested_bank(tmp_path / "nothing") is None


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    for nothing in (None, Path()):
        with pytest.raises(InputError, match="no data set yet"):
            existing_source(nothing)
    with pytest.raises(InputError, match="no such file or folder"):
        existing_source(tmp_path / "a")


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
        warm_request(viewer, "starter", "cpu")
    first = viewer.add_image(np.zeros((3, 5, 6, 7)), name="first")
    second = viewer.add_image(np.zeros((5, 6, 7)), name="second")
    viewer.add_labels(np.zeros((5, 6, 7), int))
    assert image_in_view(viewer) is second
    viewer.layers.selection.active = first
    viewer.dims.set_point((0, 1), (2, 3))
    request = warm_request(viewer, "starter", "cpu")
    assert request.plane == Plane(0, 3, 2)
    assert request.arguments(Path("a.nii"))[-4:] == ["--axis", "0", "--time", "2"]
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="show the viewer in 2D"):
        warm_request(viewer, "starter", "cpu")


def _read(path: Path) -> Any:
    reader = get_reader(str(path))
    assert reader is not None
    return reader(str(path))

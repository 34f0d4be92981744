"""The state of a widget whose work runs in processes: tasks, runs, and their sums."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from napari_samri.datasets import read_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import Cancelled, InputError, StoreError
from napari_samri.jobs import Job, duration
from napari_samri.jobs.events import (
    Failed,
    Finished,
    Measured,
    Noted,
    Problem,
    Progressed,
    Started,
    Stopped,
    event_to_line,
)
from napari_samri.jobs.job_folder import jobs_dir
from napari_samri.training import TrainConfig
from napari_samri.work import (
    Background,
    Data,
    EmbedConfig,
    EmbedTask,
    FinetuneTask,
)
from napari_samri.work import background as background_module
from napari_samri.work import run as runs
from napari_samri.work.run import Run, Tally, find_runs, start_run
from tests.work.hands import PATIENCE, Hand, lent_hand, run_module
from tests.work.making import make_data

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

KINDS = ("embed", "warm")
hand = pytest.fixture(lent_hand, name="hand")


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs count until they are stopped, rather than embed."""
    run_module(monkeypatch, "tests.jobs.worker")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), 9)


@pytest.fixture
def task(manifest: Path, tmp_path: Path) -> EmbedTask:
    return embed(manifest, tmp_path / "bank.zarr")


def embed(manifest: Path, out: Path, **options: Any) -> EmbedTask:
    return EmbedTask(config=EmbedConfig(manifest=manifest, out=out, device="cpu"), **options)


def embed_folder(folder: Path, out: Path, **options: Any) -> EmbedTask:
    return embed(out.with_suffix(".json"), out, data=Data(path=folder, **options))


# The whole, with the real thing


@pytest.mark.slow
def test_embed_cancel_and_go_on(
    hand: Hand, task: EmbedTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Background(hand.relay, KINDS)
    with monkeypatch.context() as patch:
        run_module(patch, "tests.work.pausing")  # it waits for Cancel, however late that comes
        job.start(task)
        hand.until(lambda: job.run is not None)
    hand.until(lambda: job.status.done > 3)
    job.cancel()
    assert job.status.phase == "stopping"
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "stopped"
    assert bank_of(job) is None
    first = job.status.done
    assert 3 < first < 72
    hand.until(lambda: not job.run.running)
    job.start(task)
    hand.until(lambda: job.status.total)
    hand.until(lambda: not job.status.busy)
    assert (job.status.phase, job.status.done) == ("finished", 72)
    assert bank_of(job) == task.config.out
    assert len(Bank(task.config.out)) == 72
    assert len(find_runs(*KINDS)) == 1, "of runs before, nothing is left"


@pytest.mark.slow
def test_two_processes_share_the_work(hand: Hand, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    job = Background(hand.relay, KINDS)
    job.start(embed(manifest, out, workers=2))
    hand.until(lambda: not job.status.busy)
    assert (job.status.phase, job.status.done, job.status.total) == ("finished", 72, 72)
    assert len(Bank(out)) == 72


def test_what_fails_is_a_sentence(hand: Hand, task: EmbedTask, tmp_path: Path) -> None:
    job = Background(hand.relay, KINDS)
    (tmp_path / "bank.json").write_text("mine")
    job.start(embed_folder(tmp_path, tmp_path / "bank.zarr"))
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "there is something else" in job.status.text
    assert (tmp_path / "bank.json").read_text() == "mine"
    job.start(replace(task, config=replace(task.config, model="no such model")))
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "no such model" in job.status.text


# The state of a run, with jobs that count


@pytest.mark.usefixtures("counting")
def test_it_goes_on_without_a_window_and_is_found_again(hand: Hand, task: EmbedTask) -> None:
    first = Background(hand.relay, KINDS)
    first.start(task)
    hand.until(lambda: first.status.done)
    first.close()
    first.close()
    hand.pump()
    second = Background(hand.relay, KINDS)
    second.attach()
    assert second.status.phase == "running"
    hand.until(lambda: second.status.done > 10)
    assert second.run.task == task
    with pytest.raises(InputError, match="already; wait for it"):
        second.start(task)
    second.cancel()
    second.cancel()
    hand.until(lambda: not second.status.busy)
    assert second.status.phase == "stopped"
    third = Background(hand.relay, KINDS)
    third.attach()
    assert third.status.phase == "idle", "how it ended was told already"


@pytest.mark.usefixtures("counting")
def test_it_ends_with_the_window_if_so_chosen(hand: Hand, task: EmbedTask) -> None:
    job = Background(hand.relay, KINDS, keep=True)
    job.start(task)
    hand.until(lambda: job.status.done)
    job.keep = False
    job.close()
    [run] = find_runs(*KINDS)
    hand.until(lambda: not run.running)
    again = Background(hand.relay, KINDS)
    again.attach()
    hand.until(lambda: not again.status.busy)
    assert again.status.phase == "stopped", "nobody was told yet"


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("keep", [True, False])
def test_closed_before_anybody_knew_of_the_run(
    hand: Hand, task: EmbedTask, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    entered, going, went = Event(), Event(), Event()

    def slow(*arguments: Any, **options: Any) -> Run:
        entered.set()
        going.wait(PATIENCE)
        run = start_run(*arguments, **options)
        went.set()
        return run

    monkeypatch.setattr(background_module, "start_run", slow)
    job = Background(hand.relay, KINDS, keep=keep)
    job.start(task)
    assert entered.wait(PATIENCE)
    job.close()
    going.set()
    assert went.wait(PATIENCE)
    hand.threads[-1].join(PATIENCE)
    [run] = find_runs(*KINDS)
    assert (run.jobs[0].folder / "STOP").exists() is not keep


@pytest.mark.usefixtures("counting")
def test_a_run_that_was_killed(hand: Hand, task: EmbedTask) -> None:
    from napari_samri.jobs import detached

    job = Background(hand.relay, KINDS)
    job.start(task)
    hand.until(lambda: job.status.done)
    detached._own[job.run.jobs[0].folder].kill()
    hand.until(lambda: not job.status.busy)
    assert job.status.phase == "failed"
    assert "Start it again" in job.status.text


def test_cancelled_while_the_data_are_read(tmp_path: Path, task: EmbedTask) -> None:
    folding = embed_folder(task.config.manifest.parent, task.config.out)
    with pytest.raises(Cancelled, match="nothing was written"):
        list(folding.ready(tmp_path, lambda: True))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_prepared_beside_the_bank(tmp_path: Path, task: EmbedTask) -> None:
    folder = tmp_path / "data"
    make_data(folder, 2)
    (folder / "case0_seg.nii.gz").unlink()
    steps = embed_folder(folder, task.config.out).ready(tmp_path, lambda: False)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            (ready,), problems = end.value
            break
    assert [step.done for step in seen] == [1]
    assert ready.config.manifest == tmp_path / "bank.json"
    assert ready.data is None
    assert len(read_manifest(ready.config.manifest).studies) == 1
    assert any("case0" in problem for problem in problems)


def test_how_a_folder_is_read(tmp_path: Path, task: EmbedTask) -> None:
    folder = tmp_path / "data"
    make_data(folder, 2)
    how = {"layout": "pairs", "patient_pattern": "case(?P<patient>.)", "channel": 3}
    steps = embed_folder(folder, task.config.out, **how).ready(tmp_path, lambda: False)
    list(steps)
    manifest = read_manifest(tmp_path / "bank.json")
    assert manifest.datasets[0].layout == "pairs"
    assert {study.patient for study in manifest.studies} == {"0", "1"}
    unknown = embed_folder(folder, task.config.out, layout="x")
    with pytest.raises(InputError, match="no layout is called"):
        list(unknown.ready(tmp_path, lambda: False))


# Sums


def tally(count: int) -> Tally:
    jobs = [Job(Path("nowhere"), "Embedding", details={"problems": ["old"]}) for _ in range(count)]
    return Tally(Run(jobs, embed(Path("m.json"), Path("/there/bank.zarr"))))


def bank_of(job: Background) -> Path | None:
    return job.status.made.bank if job.status.phase == "finished" else None


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
    sums = tally(1)
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

    def start(module: str, title: str, *_: Any, **__: Any) -> Any:
        if title.endswith("b"):
            text = "the disk is full"
            raise StoreError(text)
        return type("Started", (), {"cancel": lambda _: cancelled.append(title)})()

    monkeypatch.setattr(runs, "start_job", start)
    with pytest.raises(StoreError):
        start_run([embed(Path("m.json"), Path(name)) for name in ("a", "b")])
    assert cancelled == ["Embedding into a"]


@pytest.mark.parametrize(
    ("details", "kind", "title"),
    [
        (
            {"embedding run": "x", "bank": "/a/b.zarr", "names": {}},
            "embed",
            "Embedding into b.zarr",
        ),
        (
            {"embedding run": "x", "bank": None, "names": {"/a.nii": "head"}},
            "warm",
            "Embedding head",
        ),
        ({"fine-tuning run": True, "out": "/a/run", "epochs": 7}, "finetune", "Fine-tuning: run"),
    ],
)
def test_runs_that_an_earlier_version_started_are_found(
    details: dict[str, Any], kind: str, title: str
) -> None:
    """Their processes go on after an update, and are watched to their end."""
    folder = jobs_dir() / "before"
    folder.mkdir(parents=True)
    old = {"version": 1, "title": title, "arguments": ["x"], "started": 1.0, "details": details}
    (folder / "job.json").write_text(json.dumps(old))
    lines = [Started(what="slices", total=4), Progressed(done=3, total=4), Finished(text="done")]
    (folder / "events.jsonl").write_text("".join(map(event_to_line, lines)))
    [run] = find_runs(kind)
    assert run.title == run.task.title == title
    *_, last = [status for status in run.follow() if status is not None]
    assert (last.phase, last.text, last.done) == ("finished", "done", 3)


# Training


def tune(out: Path, **numbers: Any) -> FinetuneTask:
    return FinetuneTask(config=TrainConfig(bank=out, out=out, **numbers))


def test_a_run_is_ended_that_does_not_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    job = Job(tmp_path, "Fine-tuning")
    monkeypatch.setattr(Job, "end_overdue", lambda _, grace: asked.append(grace))
    follow = Run([job], tune(tmp_path)).follow(lambda: len(asked) > 2)
    monkeypatch.setattr("napari_samri.work.run.time.sleep", lambda _: None)
    monkeypatch.setattr(Job, "running", True)
    list(follow)
    assert asked == [20.0] * 3


def test_a_tally_tells_of_epochs(tmp_path: Path) -> None:
    tally = Tally(Run([Job(tmp_path, "Fine-tuning")], tune(tmp_path, epochs=4)))
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

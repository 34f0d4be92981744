"""Jobs that outlive the window: real processes, which are stopped, killed, and found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_samri.errors import InputError, StoreError
from napari_samri.jobs import detached
from napari_samri.jobs.detached import Job, delete_old_jobs, list_jobs, read_job, start_job
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
    line_to_event,
)
from napari_samri.jobs.job_folder import jobs_dir, process_of
from napari_samri.jobs.report_file import Reporter, reporting
from tests.jobs.worker import STEPS, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_samri.jobs.events import Event

ROOT = Path(__file__).parents[2]
MODULE = "tests.jobs.worker"
PATIENCE = 60


@pytest.fixture(autouse=True)
def _module_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.fixture
def start() -> Iterator[Callable[..., Job]]:
    jobs = []

    def start_one(what: str, **options: object) -> Job:
        jobs.append(start_job(MODULE, f"Test of {what}", task={"what": what}, **options))  # type: ignore[arg-type]
        return jobs[-1]

    yield start_one
    for job in jobs:
        kill(job)


def kill(job: Job) -> None:
    process = detached._own.get(job.folder)
    if process is not None:
        process.kill()
        process.wait()
    until(lambda: not job.running)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def events(job: Job) -> list[Event]:
    end = time.monotonic() + PATIENCE
    return [event for event in job.events(lambda: time.monotonic() > end) if event is not None]


def first(job: Job, kind: type) -> Event:
    """Return the first event of a kind while the job goes on."""
    return next(event for event in job.events() if isinstance(event, kind))


def forget_process(job: Job) -> subprocess.Popen[bytes]:
    """Do as if another window had started it."""
    return detached._own.pop(job.folder)


def test_from_the_first_event_to_the_last(start: Callable[..., Job]) -> None:
    job = start("count", details={"bank": "a.zarr"})
    found = events(job)
    assert found[0] == Started(what="Counting", total=STEPS)
    assert [e.done for e in found if isinstance(e, Progressed)] == list(range(1, STEPS + 1))
    assert isinstance(found[-1], Finished)
    if hasattr(os, "nice"):
        assert found[-1].details["nice"] == min(os.nice(0) + 5, 19)
    assert events(job) == found, "whoever comes later hears all of it too"
    until(lambda: not job.running)
    [listed] = list_jobs()
    assert (listed.title, listed.details) == ("Test of count", {"bank": "a.zarr"})
    assert listed.task == read_job(listed.folder).task == {"what": "count"}
    listed.forget()
    assert list_jobs() == []


def test_stop(start: Callable[..., Job]) -> None:
    job = start("endless")
    first(job, Progressed)
    job.cancel()
    assert isinstance(events(job)[-1], Stopped)
    until(lambda: not job.running)


@pytest.mark.parametrize("own", [True, False])
def test_a_job_that_does_not_answer_is_ended(start: Callable[..., Job], own: bool) -> None:
    job = start("deaf")
    first(job, Noted)
    process = None if own else forget_process(job)
    job.end_overdue(0)
    assert job.running, "nobody has asked it to stop"
    job.cancel()
    job.end_overdue(600)
    assert job.running, "it still has time to answer"
    os.utime(job.folder / "STOP", (0, 0))
    job.end_overdue(600)
    if process is not None:
        process.wait()
    last = events(job)[-1]
    assert isinstance(last, Stopped)
    assert "is kept" in last.text
    until(lambda: not job.running)
    job.end_overdue(0)  # its number may be another process's by now


def test_a_job_of_another_window_is_found_and_stopped(start: Callable[..., Job]) -> None:
    job = start("endless")
    process = forget_process(job)
    [found] = list_jobs()
    assert found.running, "also before it has told anything"
    first(found, Progressed)
    assert found.running
    with pytest.raises(StoreError, match="still runs; cancel it"):
        found.forget()
    found.cancel()
    assert isinstance(events(found)[-1], Stopped)
    process.wait()
    assert not found.running


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
@pytest.mark.parametrize("ours", [True, False])
def test_killed(start: Callable[..., Job], ours: bool) -> None:
    job = start("endless")
    process = detached._own[job.folder] if ours else forget_process(job)
    first(job, Progressed)
    process.send_signal(signal.SIGKILL)
    if not ours:
        process.wait()
    *before, last = events(job)
    assert isinstance(last, Failed)
    assert "ended unexpectedly" in last.text
    assert before, "what it told before is still there"
    assert not job.running


@pytest.mark.parametrize(
    ("what", "kind", "text"),
    [
        ("refuse", Failed, "the manifest is missing; make one."),
        ("bug", Failed, "RuntimeError: a fault. This is a fault of napari-samri."),
        ("cancelled", Stopped, "Stopped."),
        ("say nothing", Failed, "last words"),
        ("die", Failed, "what it had done is kept"),
        ("unusable", Failed, "no such task"),
    ],
)
def test_every_end_is_told(start: Callable[..., Job], what: str, kind: type, text: str) -> None:
    last = events(start(what))[-1]
    assert isinstance(last, kind)
    assert text in last.text  # type: ignore[attr-defined]


def test_its_process_is_in_no_group_of_ours(start: Callable[..., Job]) -> None:
    if not hasattr(os, "getpgid"):
        pytest.skip("no process groups here")
    job = start("endless")
    pid = detached._own[job.folder].pid
    assert os.getpgid(pid) == pid != os.getpgid(0)


def test_it_outlives_whoever_started_it(tmp_path: Path) -> None:
    """A process starts a job and dies at once."""
    code = (
        "from pathlib import Path; from napari_samri.jobs.detached import start_job; import os\n"
        f"start_job({MODULE!r}, 'Orphan', task={{'what': 'endless'}}); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
    [job] = list_jobs()
    first(job, Progressed)
    assert job.running
    job.cancel()
    assert isinstance(events(job)[-1], Stopped)
    until(lambda: not job.running)


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    job = _ended_job(tmp_path)
    with (tmp_path / "events.jsonl").open("w") as file:
        file.write(event_to_line(Noted(text="one")))
        file.write('{"event": "of a later version"}\n')
        file.write(event_to_line(Noted(text="two")))
        file.write(event_to_line(Noted(text="three"))[:-5])
    found = events(job)
    assert found[:-1] == [Noted(text="one"), Noted(text="two")]
    assert isinstance(found[-1], Failed)


def test_a_line_that_comes_in_two_pieces(tmp_path: Path) -> None:
    job = _ended_job(tmp_path)
    line = event_to_line(Finished(text="done"))
    with reporting(tmp_path), (tmp_path / "events.jsonl").open("a") as file:
        file.write(line[:10])
        file.flush()
        coming = job.events()
        assert next(coming) is None
        file.write(line[10:])
        file.flush()
        assert next(coming) == Finished(text="done")
        assert list(coming) == []


def test_whoever_watches_can_be_stopped(tmp_path: Path) -> None:
    job = _ended_job(tmp_path)
    with reporting(tmp_path):
        looks = iter([False, False, True])
        assert list(job.events(lambda: next(looks))) == [None, None]


def test_a_job_runs_once_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_samri.jobs.report_file._LOCK_SECONDS", 0.1)
    with (
        reporting(tmp_path),
        pytest.raises(StoreError, match="no other process runs it"),
        reporting(tmp_path),
    ):
        pass


def test_errors_are_told_and_raised(tmp_path: Path) -> None:
    with pytest.raises(InputError), reporting(tmp_path) as reporter:
        work("refuse", reporter)
    assert (tmp_path / "events.jsonl").read_text() == event_to_line(
        Failed(text="the manifest is missing; make one.")
    )


def test_nothing_is_told_after_the_last_event(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), reporting(tmp_path) as reporter:
        work("bug at the end", reporter)
    assert (tmp_path / "events.jsonl").read_text() == event_to_line(Finished(text="done"))


def test_looking_for_stop_is_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked at each step, and looks into the folder ten times a second at most."""
    looks: list[Path] = []
    real = Path.exists

    def exists(path: Path, **options: bool) -> bool:
        looks.append(path)
        return real(path, **options)

    with reporting(tmp_path) as reporter:
        monkeypatch.setattr(Path, "exists", exists)
        begin = time.monotonic()
        for _ in range(1000):
            assert not reporter.cancel()
        assert 1 <= len(looks) <= 2 + (time.monotonic() - begin) / 0.1
        (tmp_path / "STOP").touch()
        until(reporter.cancel)


def test_a_full_disk_is_told_as_a_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("wb", buffering=0) as file:
        reporter = Reporter(tmp_path, file)
        with pytest.raises(StoreError, match="cannot be written"):
            reporter.tell(Noted(text="hello"))


def test_damaged_folders_are_passed_over() -> None:
    root = jobs_dir()
    assert list_jobs() == []
    for name, content in {
        "empty": None,
        "torn": '{"version": 1, "ti',
        "list": "[1]",
        "later": json.dumps({"version": 99}),
        "odd": json.dumps({"version": 2, "title": "t", "task": 3, "started": 1, "details": {}}),
    }.items():
        (root / name).mkdir(parents=True)
        if content is not None:
            (root / name / "job.json").write_text(content)
    (root / "a file").touch()
    assert list_jobs() == []


SOUND = {"version": 2, "title": "t", "task": {}, "started": 1.0, "details": {}}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(SOUND).replace("1.0", "1" + "0" * 400),
        json.dumps(SOUND | {"started": "now"}),
        json.dumps(SOUND | {"started": float("nan")}),
        json.dumps(SOUND | {"started": float("inf")}),
        json.dumps(SOUND | {"task": [1]}),
        json.dumps(SOUND | {"task": "embed"}),
        json.dumps(SOUND | {"title": None}),
        json.dumps(SOUND | {"details": [["a", 1]]}),
        json.dumps(SOUND | {"version": True}),
        json.dumps(SOUND).replace("{}", '{"a":' * 10_000 + "1" + "}" * 10_000),
        "\ud800",
    ],
    ids=range(11),
)
def test_a_damaged_job_takes_no_other_along(content: str, caplog: pytest.LogCaptureFixture) -> None:
    _ended_job(jobs_dir() / "sound")
    odd = _ended_job(jobs_dir() / "odd").folder
    (odd / "job.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    for _ in range(2):
        assert [job.folder.name for job in list_jobs()] == ["sound"]
    (told,) = caplog.messages
    assert str(odd) in told
    assert len(told) < 600


def test_a_job_that_an_earlier_version_started_is_still_read() -> None:
    folder = jobs_dir() / "before"
    folder.mkdir(parents=True)
    old = {"version": 1, "title": "t", "arguments": ["embed", "m.json"], "started": 1.0}
    (folder / "job.json").write_text(json.dumps(old | {"details": {"bank": "b.zarr"}}))
    (job,) = list_jobs()
    assert (job.title, dict(job.task), job.details) == ("t", {}, {"bank": "b.zarr"})


@pytest.mark.parametrize("number", ["-1", "0", "1", "1" * 30, "99999999999", "x", "[]", "1.5", ""])
def test_a_damaged_number_of_a_process_is_nobodys(tmp_path: Path, number: str) -> None:
    job = _ended_job(tmp_path / "job")
    with reporting(job.folder):
        assert process_of(job.folder) == os.getpid()
        (job.folder / "pid").write_text(number)
        assert process_of(job.folder) is None


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[1]",
        "null",
        '{"event": "noted"}',
        '{"event": "noted", "text": 3}',
        '{"event": ["noted"], "text": "a"}',
        '{"event": "later", "text": "a"}',
        '{"event": "progressed", "done": "1", "total": 2}',
        '{"event": "progressed", "done": 1e999, "total": 2}',
        '{"event": "started", "what": "a", "total": -1}',
        '{"event": "measured", "at": NaN, "values": {}}',
        '{"event": "measured", "at": 1, "values": {"dice": "good"}}',
        '{"event": "finished", "text": "a", "details": []}',
        '{"event": "noted", "text": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"event": "started", "what": "a", "total": ' + "1" * 5000 + "}",
    ],
    ids=range(15),
)
def test_a_damaged_line_takes_no_event_along(tmp_path: Path, line: str) -> None:
    with pytest.raises(StoreError, match="a line of a job's events"):
        line_to_event(line)
    job = _ended_job(tmp_path / "job")
    sound = [Noted(text="before"), Finished(text="done", details={"rows": 3})]
    first, last = map(event_to_line, sound)
    (job.folder / "events.jsonl").write_text(f"{first}{line}\n{last}")
    assert [event for event in job.events() if event is not None] == sound


def test_events_of_jobs_that_an_earlier_release_started_are_read() -> None:
    lines = (
        '{"event":"started","what":"slices","total":9,"done":2}',
        '{"event":"progressed","done":3,"total":9,"seconds_left":1.5,"what":"slices"}',
        '{"event":"progressed","done":3,"total":9,"seconds_left":null,"what":""}',
        '{"event":"measured","at":2,"values":{"loss":NaN,"dice":0.5}}',
        '{"event":"noted","text":"a"}',
        '{"event":"problem","text":"b"}',
        '{"event":"finished","text":"c","details":{"rows":3}}',
        '{"event":"stopped","text":"d"}',
        '{"event":"failed","text":"e"}',
    )
    assert [line_to_event(line + "\n") for line in lines] == [
        Started(what="slices", total=9, done=2),
        Progressed(done=3, total=9, seconds_left=1.5, what="slices"),
        Progressed(done=3, total=9),
        Measured(at=2, values={"dice": 0.5}),
        Noted(text="a"),
        Problem(text="b"),
        Finished(text="c", details={"rows": 3}),
        Stopped(text="d"),
        Failed(text="e"),
    ]


def test_what_diverged_is_told_without_a_number() -> None:
    odd = Measured(at=1, values={"loss": float("nan"), "dice": 0.5})
    assert line_to_event(event_to_line(odd)) == Measured(at=1, values={"dice": 0.5})
    odd = Progressed(done=1, total=2, seconds_left=float("inf"))
    assert line_to_event(event_to_line(odd)) == Progressed(done=1, total=2)


def test_old_jobs_go_and_new_ones_come_first() -> None:
    root = jobs_dir()
    for number, name in enumerate(("b", "a", "old")):
        _ended_job(root / name, started=1000.0 + number)
    _age(root / "old")
    with reporting(_ended_job(root / "long").folder):
        _age(root / "long")
        assert (root / "old").exists(), "looking deletes nothing"
        delete_old_jobs()
        assert [job.folder.name for job in list_jobs()] == ["a", "b", "long"]
    assert not (root / "old").exists()


def test_where_no_folder_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_SAMRI_STATE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="the job cannot be started"):
        start_job(MODULE, "Counting", task={"what": "count"})
    assert list_jobs() == []


def _ended_job(folder: Path, started: float = 1.0) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(folder, "Test", started)
    detached._write(job)
    (folder / "events.jsonl").touch()
    return job


def _age(folder: Path) -> None:
    for path in (folder / "events.jsonl", folder):
        os.utime(path, (0, 0))

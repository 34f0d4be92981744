"""Child processes: real ones, which print, flood, hang, crash and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.jobs.child import Child
from napari_samri.jobs.wire import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PATIENCE = 60


class Parent:
    """Starts children and keeps what they say."""

    def __init__(self) -> None:
        self.messages: Queue[Message] = Queue()
        self.exits: Queue[tuple[int, str]] = Queue()
        self.child: Child

    def start(self, *arguments: str, module: str = "tests.jobs.echo") -> Child:
        self.child = Child(module, self.messages.put, lambda *how: self.exits.put(how), arguments)
        return self.child

    def ask(self, do: str, **head: Any) -> Message:
        self.child.send(Message({"do": do, **head}))
        return self.messages.get(timeout=PATIENCE)

    def exit(self) -> tuple[int, str]:
        return self.exits.get(timeout=PATIENCE)


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    threads = set(threading.enumerate())
    parent = Parent()
    yield parent
    parent.child.close()
    until(lambda: set(threading.enumerate()) <= threads)
    assert not runs(parent.child.pid)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Tell whether a process is there and not only waiting to be taken note of."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_messages_and_arguments_arrive(parent: Parent) -> None:
    parent.start("one", "two words")
    parent.child.send(Message({"do": "echo", "n": 1}, {"a": np.arange(3)}))
    back = parent.messages.get(timeout=PATIENCE)
    assert back.head == {"do": "echo", "n": 1}
    np.testing.assert_array_equal(back.arrays["a"], [0, 1, 2])
    assert parent.ask("argv").head == {"argv": ["one", "two words"]}
    assert parent.child.alive


def test_what_libraries_print_is_no_message(parent: Parent) -> None:
    parent.start()
    assert parent.ask("print").head == {"stdin": ""}
    parent.child.close()
    code, text = parent.exit()
    assert code == 0
    assert text.splitlines() == ["printed by a library", "written by a library in C"]


def test_replies_of_many_threads_do_not_mix(parent: Parent) -> None:
    parent.start()
    parent.child.send(Message({"do": "flood"}))
    for _ in range(160):
        message = parent.messages.get(timeout=PATIENCE)
        number = message.head["from"]
        np.testing.assert_array_equal(message.arrays["a"], np.full(1000 + number, number))


def test_large_messages_wait_for_a_busy_child_without_blocking(
    parent: Parent, tmp_path: Path
) -> None:
    """Sending that blocked would never come to what the child waits for."""
    parent.start()
    parent.child.send(Message({"do": "wait", "until": str(tmp_path / "sent")}))
    for _ in range(5):
        parent.child.send(Message({"do": "echo"}, {"a": np.zeros(1 << 20)}))
    (tmp_path / "sent").touch()
    for _ in range(5):
        assert parent.messages.get(timeout=PATIENCE).arrays["a"].shape == (1 << 20,)


def test_a_crash_is_told_with_its_code_and_last_words(parent: Parent) -> None:
    parent.start()
    parent.child.send(Message({"do": "die", "code": 7}))
    code, text = parent.exit()
    assert code == 7
    assert text.splitlines()[-1] == "last words"
    assert len(text) <= 2000
    assert not parent.child.alive
    parent.child.send(Message({"do": "echo"}))  # goes nowhere
    assert parent.exits.empty()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_kill_is_told(parent: Parent) -> None:
    child = parent.start()
    parent.ask("echo")
    os.kill(child.pid, signal.SIGKILL)
    assert parent.exit() == (-signal.SIGKILL, "")


def test_a_handler_that_fails_ends_the_child(parent: Parent) -> None:
    parent.start()
    parent.child.send(Message({"do": "fail"}))
    code, text = parent.exit()
    assert code == 1
    assert text.splitlines()[-1] == "RuntimeError: the handler fails"


def test_a_module_that_is_missing_is_told(parent: Parent) -> None:
    parent.start(module="tests.jobs.no_such_module")
    code, text = parent.exit()
    assert code == 1
    assert "no_such_module" in text


@needs_proc
def test_a_child_that_talks_nonsense_is_ended(parent: Parent) -> None:
    parent.start()
    parent.child.send(Message({"do": "garble"}))
    code, _ = parent.exit()
    assert code == 0
    assert parent.messages.empty()


def test_close_ends_a_child_that_waits(parent: Parent) -> None:
    parent.start()
    parent.ask("echo")
    parent.child.close()
    assert parent.exit() == (0, "")
    parent.child.close()  # twice does no harm
    assert parent.exits.empty()


def test_close_ends_a_child_that_hangs(parent: Parent) -> None:
    parent.start()
    parent.ask("echo")
    parent.child.send(Message({"do": "sleep", "seconds": 1000}))
    time.sleep(0.2)
    parent.child.close(grace_seconds=0.5)
    assert parent.exit()[0] != 0


def test_kill_does_not_wait(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    parent.start()
    parent.ask("echo")
    real, waiting = subprocess.Popen.wait, []

    def wait(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waiting.append(threading.current_thread())
        return real(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    parent.child.kill()
    assert parent.exit()[0] != 0
    assert threading.current_thread() not in waiting


def test_modules_of_the_current_folder_are_not_run(
    parent: Parent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    parent.start()
    assert parent.ask("echo").head == {"do": "echo"}


@needs_proc
@pytest.mark.parametrize("busy", [False, True])
def test_a_child_ends_with_its_parent(tmp_path: Path, busy: bool) -> None:
    """Even one that was killed while the child had work for a long time."""
    script = f"""
import time
from napari_samri.jobs.child import Child
from napari_samri.jobs.wire import Message
child = Child("tests.jobs.echo", print, print)
child.send(Message({{"do": "echo"}}))
if {busy}:
    child.send(Message({{"do": "flood"}}))
print(child.pid, flush=True)
time.sleep(1000)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    until(lambda: not runs(pid))

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from napari_samri.atomic import own_folder, remove_all_leftovers, replacing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="killing and locks of POSIX")

KILLED = """
import os, signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from napari_samri.atomic import own_folder, replacing
stack = ExitStack()
for name in ({names}):
    stack.enter_context(replacing(Path(name))).write_text("half")
(stack.enter_context(own_folder(Path("bank.zarr"))) / "rows").write_text("half")
os.kill(os.getpid(), signal.SIGKILL)
"""
TARGETS = ("a.nii.gz", "other.json", "x" * 255)


@pytest.fixture(scope="module")
def _killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a process was killed in the middle of everything."""
    folder = tmp_path_factory.mktemp("killed")
    code = KILLED.format(names=", ".join(map(repr, TARGETS)))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(folder.iterdir())) == len(TARGETS) + 1
    return folder


@pytest.fixture
def killed(_killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_killed, tmp_path / "left"))


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("name", TARGETS)
def test_the_next_save_of_a_file_removes_what_a_killed_one_left(killed: Path, name: str) -> None:
    before = left_in(killed)
    with replacing(killed / name) as temporary:
        temporary.write_text("whole")
    gone = set(before) - set(left_in(killed))
    assert len(gone) == 1
    assert gone.pop().startswith(f".{name[:40]}.")
    assert (killed / name).read_text() == "whole"


def test_the_next_folder_removes_what_a_killed_one_left(killed: Path) -> None:
    with own_folder(killed / "bank.zarr") as stage:
        (stage / "rows").touch()
        assert [name for name in left_in(killed) if "bank.zarr" in name] == [stage.name]
    assert len(left_in(killed)) == len(TARGETS)


def test_all_leftovers_of_a_folder(killed: Path) -> None:
    (killed / ".mine.part").touch()
    with replacing(killed / "a.nii.gz") as used:
        remove_all_leftovers(killed)
        assert left_in(killed) == sorted([used.name, ".mine.part"])


def test_what_is_being_written_is_not_left_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replacing(path) as first:
        first.write_text("slow")
        os.utime(first, (time.time() - 10 * 86400,) * 2)
        with replacing(path) as second:
            second.write_text("fast")
        assert path.read_text() == "fast"
        assert first.exists()
    assert path.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [path]


def test_a_live_process_keeps_its_file_and_a_dead_one_does_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from napari_samri.atomic import replacing\n"
        "with replacing(Path('a.json')) as t:\n    print('now', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        [other] = left_in(tmp_path)
        for _ in range(2):
            with replacing(tmp_path / "a.json"):
                pass
        assert left_in(tmp_path) == [other]
        process.kill()
        process.wait()
    with replacing(tmp_path / "a.json"):
        assert other not in left_in(tmp_path)


def test_files_of_others_stay(killed: Path) -> None:
    [ours] = [name for name in left_in(killed) if "a.nii.gz" in name]
    head, token = ours.split(".part")[0].rsplit(".", 1)
    here = token.split("-")[1]
    mine = (
        f"{head}.{token}",
        f"{head}.notes.part",
        f"{head}.{token}.part.far.too.many",
        ".a.nii.gz",
    )
    for name in mine:
        (killed / name).touch()
    (killed / f"{head}.{'0' * 12}-{here}.part").symlink_to("a.nii.gz")
    os.mkfifo(killed / f"{head}.{'1' * 12}-{here}.part")
    with replacing(killed / "a.nii.gz"):
        pass
    stay = set(left_in(killed))
    assert stay >= {*mine, f"{head}.{'0' * 12}-{here}.part", f"{head}.{'1' * 12}-{here}.part"}
    assert ours not in stay


def test_where_there_are_no_locks_age_tells(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = killed / "a.nii.gz"
    [ours] = [name for name in left_in(killed) if "a.nii.gz" in name]
    with replacing(path):
        assert ours in left_in(killed)
    os.utime(killed / ours, (time.time() - 2 * 86400,) * 2)
    with replacing(path):
        assert ours not in left_in(killed)


def test_what_another_machine_left_is_told_by_its_age(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that can be had says nothing where each machine keeps its locks to itself."""
    monkeypatch.setattr("platform.node", lambda: "another-machine")
    path = killed / "a.nii.gz"
    [theirs] = [name for name in left_in(killed) if "a.nii.gz" in name]
    with replacing(path):
        assert theirs in left_in(killed)
    os.utime(killed / theirs, (time.time() - 2 * 86400,) * 2)
    with replacing(path):
        assert theirs not in left_in(killed)


def test_a_file_taken_away_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may look for leftovers between the making and the locking."""
    import fcntl

    lock, taken = fcntl.flock, []

    def slow(descriptor: int, how: int) -> None:
        if not taken:
            [path] = tmp_path.iterdir()
            taken.append(path)
            path.unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
        assert temporary not in taken
    assert (tmp_path / "a.json").read_text() == "whole"


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")
def test_a_folder_taken_away_before_it_was_opened_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, made = os.open, list[Path]()

    def opened(path: Path, flags: int, **more: Any) -> int:
        if Path(path).parent == tmp_path and Path(path).is_dir():
            made.append(Path(path))
            if len(made) == 1:  # as another process does that takes it for left over
                Path(path).rmdir()
        return plain(path, flags, **more)

    monkeypatch.setattr(os, "open", opened)
    with own_folder(tmp_path / "bank") as stage:
        assert stage.is_dir()
        assert stage not in made[:1]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), own_folder(tmp_path / "missing" / "bank"):
        pass

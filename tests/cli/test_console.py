"""Standard streams that are closed, full, gone, or of an encoding that lacks characters."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_samri.cli import main
from napari_samri.cli.console import OutputError, secure_streams, show
from napari_samri.jobs import say

posix = pytest.mark.skipif(os.name != "posix", reason="needs descriptors as POSIX has them")


class Full(io.StringIO):
    """A stream on a full disk."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_result_that_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="No space left"):
        show("dice 0.9\n")
    assert main(["models"]) == 1
    assert "cannot be written to stdout (No space left on device)" in capsys.readouterr().err


def test_messages_that_nobody_can_read_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    say("half way")
    assert main(["models", "--remove", "nothing of this name"]) == 2


def test_names_may_hold_anything(capsys: pytest.CaptureFixture[str]) -> None:
    say("wrote a\x1b[2Jb\udcff.nii")
    assert capsys.readouterr().err == "napari-samri: wrote a\\x1b[2Jb\\udcff.nii\n"
    show("Zoë\n")
    assert capsys.readouterr().out == "Zoë\n"


def test_characters_that_a_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_ = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_, encoding="ascii"))
    secure_streams()
    show("Zoë\n")
    assert bytes_.getvalue() == b"Zo\\xeb\n"


@posix
def test_a_folder_that_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    try:
        os.chdir(gone)
        gone.rmdir()
        assert main(["models"]) == 2
    finally:
        os.chdir(here)
    assert "the current folder was deleted" in capsys.readouterr().err


CLOSED = """
import os, sys
from napari_samri.cli.console import secure_streams, show
from napari_samri.jobs import say
secure_streams()
with open(sys.argv[1], "wb") as file:
    assert file.fileno() > 2, file.fileno()
    show("a result")
    say("a message")
    print("more", flush=True)
    input_ = sys.stdin.read()
    file.write(b"voxels")
"""


@posix
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What is printed would go into it."""
    out = tmp_path / "labels.nii"
    script = tmp_path / "script.py"
    script.write_text(CLOSED)
    command = f"exec '{sys.executable}' '{script}' '{out}' <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], check=False)
    assert done.returncode == 0
    assert out.read_bytes() == b"voxels"


@posix
def test_models_without_stdout(tmp_path: Path) -> None:
    program = f"'{sys.executable}' -m napari_samri models"
    for tail, code in ((">&-", 0), (">/dev/full", 1)):
        done = subprocess.run(
            ["sh", "-c", f"{program} {tail}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr

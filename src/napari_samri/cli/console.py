"""Results on stdout, messages and progress on stderr, whatever these lead to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class OutputError(Exception):
    """A result that could not be written to stdout: the disk behind it is full, say."""


def secure_streams() -> None:
    """Open what is closed of the three standard streams, leading nowhere.

    Job systems and ``>&-`` start programs so. The next file that was opened would get the number
    of the closed stream, and what is printed would go into it. Characters that a stream's
    encoding lacks are written as escapes.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        _open_descriptor(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # stays
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _open_descriptor(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
        os.set_inheritable(descriptor, True)


def show(text: str) -> None:
    """Write a result to stdout.

    Raises
    ------
    OutputError
        If that fails, except that the reader has gone.
    BrokenPipeError
        If the reader has gone, as ``head`` does.
    """
    try:
        sys.stdout.write(_printable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"the result cannot be written to stdout ({error.strerror or error})"
        raise OutputError(message) from error


def silence_stdout() -> None:
    """Let what stdout still holds go nowhere: Python writes it when it ends, and would complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(text: str) -> None:
    """Write a line for the user."""
    _mention(f"napari-samri: {text}\n")


def _mention(text: str) -> None:
    """Write to stderr; messages that nobody can read stop no work."""
    with suppress(OSError, ValueError):
        sys.stderr.write(_printable(text))
        sys.stderr.flush()


def _printable(text: str) -> str:
    """Escape what a terminal would take for a command: names of files may hold anything."""
    plain = text.isprintable() or all(c.isprintable() or c in "\n\t\r" for c in text)
    return text if plain else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    plain = character.isprintable() or character in "\n\t\r"
    return character if plain else character.encode("unicode_escape", "surrogatepass").decode()


class Progress:
    """A line on a terminal that is rewritten as work goes on; silent elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def step(self, done: int, total: int, unit: str) -> None:
        """Show `done` of `total`, if there is more than one."""
        if self._shown and total > 1:
            self._rewrite(f"{done}/{total} {unit}", last=done == total)

    def download(self, done: int, total: int) -> None:
        """Show how much of a download has come, in megabytes."""
        if self._shown:
            whole = f" of {total / 1e6:.0f}" if total else ""
            self._rewrite(f"downloading: {done / 1e6:.0f}{whole} MB", last=done == total)

    @staticmethod
    def _rewrite(text: str, *, last: bool) -> None:
        _mention(f"\r{text:40}" + ("\n" if last else ""))


def current_folder_exists() -> bool:
    """Tell whether the folder that this program runs in is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True

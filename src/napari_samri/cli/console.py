"""Results on stdout, and streams that can be written to, whatever these lead to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from napari_samri.jobs import printable

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
        sys.stdout.write(printable(text))
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


def current_folder_exists() -> bool:
    """Tell whether the folder that this program runs in is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True

"""Child processes of this interpreter that exchange messages over their standard streams.

A child has an interpreter of its own: whatever it computes, and however it dies, the process
with the window goes on. It ends by itself when its parent is gone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, BinaryIO

from napari_samri.errors import StoreError
from napari_samri.jobs.memory import keep_memory
from napari_samri.jobs.wire import Message, read_message, write_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TAIL_BYTES = 2000
# Where both want the same core, redrawing windows comes before computing.
CHILD_NICENESS = 5
# For speed, a third of a decoder call on 2 cores; the user's own setting wins. numpy's threads
# and torch's wait for each other by spinning, and what a child does with numpy is small.
SETTINGS = {"OPENBLAS_NUM_THREADS": "1"}


class Child:
    """A child process that runs ``python -m module``.

    Parameters
    ----------
    module : str
        Its main function calls `serve`.
    on_message : callable
        Called with each `Message` that arrives, on a thread of its own.
    on_exit : callable
        Called once, on that thread, with the exit code and the end of what the child wrote to
        stderr; also after `close`.
    """

    def __init__(
        self,
        module: str,
        on_message: Callable[[Message], None],
        on_exit: Callable[[int, str], None],
        arguments: Sequence[str] = (),
    ) -> None:
        self._on_message = on_message
        self._on_exit = on_exit
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by the reading thread
        # -P: what lies in the folder where the viewer was started is none of our modules.
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**SETTINGS, **os.environ},
            # Else Windows shows a console for it.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._outbox: SimpleQueue[Message | None] = SimpleQueue()
        # Sending has a thread of its own: a pipe blocks while the child is busy importing.
        self._sender = Thread(target=self._send_all, name="samri-send", daemon=True)
        self._reader = Thread(target=self._read_all, name="samri-read", daemon=True)
        self._sender.start()
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Queue a message for the child; a dead child's messages go nowhere."""
        self._outbox.put(message)

    def close(self, grace_seconds: float = 2.0) -> None:
        """Let the child end, then make it; its reading thread calls `on_exit`."""
        self._outbox.put(None)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(grace_seconds)

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()
        self._outbox.put(None)

    def _send_all(self) -> None:
        stream = _pipe(self._process.stdin)
        with suppress(OSError):  # a broken pipe: the child's end is told by the reading thread
            while (message := self._outbox.get()) is not None:
                write_message(stream, message)
        with suppress(OSError):
            stream.close()

    def _read_all(self) -> None:
        stream = _pipe(self._process.stdout)
        try:
            with suppress(StoreError):  # torn by the child's death
                while (message := read_message(stream)) is not None:
                    self._on_message(message)
        finally:  # also if a message was not understood: else the parent would wait for ever
            stream.close()
            self._outbox.put(None)
            code = self._process.wait()
            self._on_exit(code, self._last_words())

    def _last_words(self) -> str:
        with self._errors:
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - _TAIL_BYTES))
            return self._errors.read().decode(errors="replace").strip()


def serve(handler: Callable[[Message, Callable[[Message], None]], None]) -> None:
    """Be a child: call ``handler(message, reply)`` for each message until the parent is gone.

    `reply` may be called from any thread. What libraries print goes to stderr.
    """
    with suppress(AttributeError, OSError):  # no such call on Windows
        os.nice(CHILD_NICENESS)
    keep_memory()
    inbox, outbox = _private_streams()
    lock = Lock()

    def reply(message: Message) -> None:
        with lock, suppress(OSError):
            write_message(outbox, message)

    with suppress(StoreError):  # torn by the parent's death
        while (message := read_message(inbox)) is not None:
            handler(message, reply)
    # Threads may still be at long work whose result is no longer needed.
    os._exit(0)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return copies of stdin and stdout, which then lead nowhere and to stderr."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return inbox, outbox


def _pipe(stream: object) -> BinaryIO:
    assert stream is not None  # noqa: S101  # Popen was asked for pipes
    return stream  # type: ignore[return-value]

"""A child process for tests: does what each message says."""

from __future__ import annotations

import os
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.jobs.child import serve
from napari_samri.jobs.wire import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    Reply = Callable[[Message], None]


def handle(message: Message, reply: Reply) -> None:
    match message.head["do"]:
        case "echo":
            reply(Message(message.head, message.arrays))
        case "argv":
            reply(Message({"argv": sys.argv[1:]}))
        case "print":
            print("printed by a library", flush=True)  # noqa: T201
            os.write(1, b"written by a library in C\n")
            reply(Message({"stdin": sys.stdin.read()}))
        case "flood":
            for number in range(8):
                Thread(target=_flood, args=(reply, number)).start()
        case "garble":
            # What no child does that uses `serve`: a frame is never begun in the middle.
            os.write(_outbox(), b"this is no message, and long enough to be one")
        case "sleep" | "wait":
            _pause(message.head)
        case "die":
            print("x" * 10_000 + "\nlast words", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(message.head["code"])
        case "fail":
            text = "the handler fails"
            raise RuntimeError(text)


def _pause(head: dict[str, Any]) -> None:
    """Do nothing for some seconds, or until there is a file."""
    time.sleep(head.get("seconds", 0))
    while "until" in head and not os.path.exists(head["until"]):
        time.sleep(0.01)


def _flood(reply: Reply, number: int) -> None:
    for _ in range(20):
        reply(Message({"from": number}, {"a": _ones(number)}))


def _ones(number: int) -> np.ndarray:
    return np.full(1000 + number, number, np.int16)


def _outbox() -> int:
    """Return the only pipe beside stdin, stdout and stderr that can be written."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"")
        except OSError:
            continue
        return descriptor
    text = "no pipe found"
    raise RuntimeError(text)


if __name__ == "__main__":
    serve(handle)

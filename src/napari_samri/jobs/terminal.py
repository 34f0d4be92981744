"""What long work says of itself on a terminal, and the exit code that it means."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputWarning
from napari_samri.jobs.events import (
    Finished,
    Measured,
    Noted,
    Problem,
    Progressed,
    Started,
    Stopped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_samri.jobs.events import Event

EXIT_OTHER = 1
EXIT_INPUT = 2
EXIT_PARTIAL = 3


def say(text: str) -> None:
    """Write a line for the user, to stderr."""
    _mention(f"napari-samri: {text}\n")


@contextmanager
def saying_warnings() -> Iterator[None]:
    """Write what an `InputWarning` says as a line for the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, InputWarning):
        say(f"note: {message}")


def _mention(text: str) -> None:
    """Write to stderr; messages that nobody can read stop no work."""
    with suppress(OSError, ValueError):
        sys.stderr.write(printable(text))
        sys.stderr.flush()


def printable(text: str) -> str:
    """Escape what a terminal would take for a command: names of files may hold anything."""
    plain = text.isprintable() or all(c.isprintable() or c in "\n\t\r" for c in text)
    return text if plain else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    plain = character.isprintable() or character in "\n\t\r"
    return character if plain else character.encode("unicode_escape", "surrogatepass").decode()


class ProgressLine:
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


class EventPrinter:
    """Shows events, and knows the exit code that they mean.

    Parameters
    ----------
    quiet : bool
        Show none.

    Attributes
    ----------
    code : int
        0; `EXIT_PARTIAL` after a problem; `EXIT_OTHER` once the work was stopped.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.code = 0
        self._quiet = quiet
        self._progress = ProgressLine()

    def __call__(self, event: Event) -> None:
        """Take note of an event, and show it."""
        if isinstance(event, Problem):
            self.code = EXIT_PARTIAL
        elif isinstance(event, Stopped):
            self.code = EXIT_OTHER
        if not self._quiet:
            self._show(event)

    def _show(self, event: Event) -> None:
        match event:
            case Started():
                say(f"{event.total - event.done:,} of {event.total:,} {event.what} to do")
            case Progressed():
                left = "" if event.seconds_left is None else f", {_time(event.seconds_left)} left"
                self._progress.step(event.done, event.total, f"{event.what}{left}")
            case Measured():
                values = ", ".join(f"{name} {value:.4f}" for name, value in event.values.items())
                say(f"{event.at:g}: {values}")
            case Noted() | Finished() | Stopped():
                say(event.text)
            case Problem():
                say(f"problem: {event.text}")


def show_events(events: Iterable[Event]) -> int:
    """Run work to its end, show how it goes, and return the exit code."""
    show = EventPrinter()
    for event in events:
        show(event)
    return show.code


def duration(seconds: float) -> str:
    """Return a span of time in words, no more exact than an estimate is."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

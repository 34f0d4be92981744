"""The events of long work, shown on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.cli.console import Progress, say
from napari_samri.jobs import Finished, Measured, Noted, Problem, Progressed, Started, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_samri.jobs import Event

EXIT_PARTIAL = 3
EXIT_STOPPED = 1


class EventPrinter:
    """Shows events, and knows the exit code that they mean.

    Parameters
    ----------
    quiet : bool
        Show none.

    Attributes
    ----------
    code : int
        0; 3 after a problem; 1 once the work was stopped.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.code = 0
        self._quiet = quiet
        self._progress = Progress()

    def __call__(self, event: Event) -> None:
        """Take note of an event, and show it."""
        if isinstance(event, Problem):
            self.code = EXIT_PARTIAL
        elif isinstance(event, Stopped):
            self.code = EXIT_STOPPED
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


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

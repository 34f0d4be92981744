"""What long work tells of itself, and how it is asked to stop.

Long work is a generator of these events. The command line prints them, a job that outlives the
window writes them to a file as JSON lines, and a thread worker relays them to a widget.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Tells whether the work shall stop; called often, so it must be quick.
    Cancel = Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class Started:
    """Work has begun: `done` of `total` was there already."""

    what: str
    total: int
    done: int = 0


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """`done` of `total` are done, and about `seconds_left` are to go, if that can be told."""

    done: int
    total: int
    seconds_left: float | None = None
    what: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A point on each of some curves: their names and values at `at`, such as an epoch."""

    at: float
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Noted:
    """Something worth knowing."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Part of the input could not be used; the work goes on."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """All is done; the last event."""

    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The work has stopped because it was asked to; the last event."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The work could not go on; the last event."""

    text: str


Event = Started | Progressed | Measured | Noted | Problem | Finished | Stopped | Failed
_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind
    for kind in (Started, Progressed, Measured, Noted, Problem, Finished, Stopped, Failed)
}


def is_last(event: Event) -> bool:
    """Tell whether nothing comes after an event."""
    return isinstance(event, (Finished, Stopped, Failed))


def event_to_line(event: Event) -> str:
    """Return an event as a line of JSON, with its line feed."""
    content = {"event": type(event).__name__.lower(), **asdict(event)}
    return json.dumps(content, separators=(",", ":")) + "\n"


def line_to_event(line: str) -> Event:
    """Read what `event_to_line` wrote.

    Raises
    ------
    StoreError
        If the line is torn or of another version.
    """
    try:
        content = dict(json.loads(line))
        return _KINDS[content.pop("event")](**content)
    except (ValueError, TypeError, LookupError) as error:
        message = f"not a line of a job's events: {line[:80]!r} ({error})."
        raise StoreError(message) from error


def never() -> bool:
    """Never stop: the `Cancel` of work that nobody can interrupt."""
    return False

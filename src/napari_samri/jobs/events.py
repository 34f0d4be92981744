"""What long work tells of itself, and how it is asked to stop.

Long work is a generator of these events. The command line prints them, a job that outlives the
window writes them to a file as JSON lines, and a thread worker relays them to a widget.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_samri.codec import (
    Reader,
    any_object,
    integer,
    map_of,
    number,
    one_of,
    optional,
    parse_json,
    record,
    text,
)
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


_LONGEST_LINE = 16 << 20

Event = Started | Progressed | Measured | Noted | Problem | Finished | Stopped | Failed
_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind
    for kind in (Started, Progressed, Measured, Noted, Problem, Finished, Stopped, Failed)
}


_COUNT = integer(0)
_TEXT: Reader[dict[str, Any]] = record(dict, {"text": text()})


def _finite_or_none(value: object) -> float | None:
    """Read a number; NaN and infinity, as which Python writes what diverged, become None."""
    odd = isinstance(value, float) and not math.isfinite(value)
    return None if odd else optional(number())(value)


def _measurements(value: object) -> dict[str, float]:
    found = map_of(_finite_or_none)(value)
    return {name: number for name, number in found.items() if number is not None}


_ENTRIES: dict[str, Reader[dict[str, Any]]] = {
    "started": record(dict, {"what": text(), "total": _COUNT}, {"done": _COUNT}),
    "progressed": record(
        dict,
        {"done": _COUNT, "total": _COUNT},
        {"seconds_left": _finite_or_none, "what": text()},
    ),
    "measured": record(dict, {"at": number(), "values": _measurements}),
    "noted": _TEXT,
    "problem": _TEXT,
    "finished": record(dict, {"text": text()}, {"details": any_object}),
    "stopped": _TEXT,
    "failed": _TEXT,
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
        If the line is torn, damaged or of another version.
    """
    try:
        return parse_json(line, _event, "not a line of a job's events", _LONGEST_LINE)
    except InputError as error:
        raise StoreError(str(error)) from error


def _event(value: object) -> Event:
    named: dict[str, str] = record(dict, {"event": one_of(*_KINDS)})(value)
    kind = named["event"]
    return _KINDS[kind](**_ENTRIES[kind](value))


def never() -> bool:
    """Never stop: the `Cancel` of work that nobody can interrupt."""
    return False

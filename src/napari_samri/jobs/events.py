"""The events of long work, and how it is asked to stop.

Long work is a generator of these events. The command line prints them, a job that outlives the
window writes them to a file as JSON lines, the model's process sends them, and widgets show them.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from napari_samri.codec import (
    Form,
    Tagged,
    integer,
    map_of,
    number,
    optional,
    parse_json,
)
from napari_samri.errors import (
    DownloadError,
    InputError,
    ModelError,
    SamriError,
    StoreError,
)

# Tells whether the work shall stop; called often, so it must be quick.
Cancel = Callable[[], bool]

_LONGEST_LINE = 16 << 20
_ERRORS = {kind.__name__: kind for kind in (InputError, ModelError, DownloadError, StoreError)}


def _finite_or_none(value: object) -> float | None:
    """Read a number; NaN and infinity, as which Python writes what diverged, become None."""
    odd = isinstance(value, float) and not math.isfinite(value)
    return None if odd else optional(number())(value)


def _measurements(value: object) -> dict[str, float]:
    found = map_of(_finite_or_none)(value)
    return {name: number for name, number in found.items() if number is not None}


def _written(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _written_each(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _written(value) for name, value in values.items()}


Count = Annotated[int, integer(0)]


@dataclass(frozen=True, kw_only=True)
class Started:
    """Work has begun: `done` of `total` was there already."""

    what: str
    total: Count
    done: Count = 0


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """`done` of `total` are done, and about `seconds_left` are to go, if that is known.

    A `total` of 0 is not known.
    """

    done: Count = 0
    total: Count = 0
    seconds_left: Annotated[float | None, Form(_finite_or_none, _written)] = None
    what: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A point on each of some curves: their names and values at `at`, such as an epoch."""

    at: float
    values: Annotated[Mapping[str, float], Form(_measurements, _written_each)]


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

    text: str = "Stopped."


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The work could not go on; the last event.

    Parameters
    ----------
    text : str
        For the user.
    error : str
        Name of the error's class, if that is known.
    """

    text: str
    error: str = ""

    def as_error(self) -> SamriError:
        """Return what happened as an error, of its class if it was raised on purpose."""
        return _ERRORS.get(self.error, SamriError)(self.text)


Event = Started | Progressed | Measured | Noted | Problem | Finished | Stopped | Failed
# A later version may tell more of an event; this one passes it over.
_EVENTS: Tagged[Event] = Tagged.of(
    *(Started, Progressed, Measured, Noted, Problem, Finished, Stopped, Failed),
    tag="event",
    unknown="drop",
)


def is_last(event: Event) -> bool:
    """Tell whether nothing comes after an event."""
    return isinstance(event, (Finished, Stopped, Failed))


def event_to_line(event: Event) -> str:
    """Return an event as a line of JSON, with its line feed."""
    return json.dumps(_EVENTS.to_plain(event), separators=(",", ":")) + "\n"


def line_to_event(line: str) -> Event:
    """Read what `event_to_line` wrote.

    Raises
    ------
    StoreError
        If the line is torn, damaged or of another version.
    """
    try:
        return parse_json(line, _EVENTS.from_plain, "not a line of a job's events", _LONGEST_LINE)
    except InputError as error:
        raise StoreError(str(error)) from error


def never() -> bool:
    """Never stop: the `Cancel` of work that cannot be interrupted."""
    return False

"""Prompts as JSON: what was drawn on a slice, and requests to segment slices of a file.

What was drawn is in pixels (x, y) of its slice, and the file that it is part of says its format:

.. code-block:: json

    {"boxes": [[60, 80, 120, 150]], "points": [[85, 100, 1], [40, 41, 0]],
     "strokes": [{"points": [[1, 2], [3, 4]], "positive": true}],
     "lines": [[10, 12, 30, 40]], "outlines": [[[5, 5], [9, 5], [7, 9]]]}

Requests are in the file's own voxel indices:

.. code-block:: json

    {"format": "napari-samri-prompts", "version": 1, "prompts": [
      {"label": 1, "axis": 2, "index": 90, "boxes": [[60, 80, 120, 150]]},
      {"label": 2, "axis": 2, "index": 90, "points": [[85, 100, 1], [40, 41, 0]]}]}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from napari_samri.codec import (
    Form,
    convert,
    flag,
    integer,
    list_of,
    number,
    read_json,
    reader_of,
    record,
    row_of,
)
from napari_samri.geometry import MAX_LABEL
from napari_samri.prompts.drawing import Line, Outline, Pair, Stroke
from napari_samri.prompts.prompt import Box, Point
from napari_samri.prompts.prompt_set import PromptSet

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1e9  # far beyond any index, and far below what a float cannot hold


def _sign(value: float) -> int:
    if value not in {0, 1}:
        message = "expected 1 (positive) or 0 (negative)"
        raise ValueError(message)
    return int(value)


COORDINATE = number(-LARGEST, LARGEST)
PAIR = row_of(COORDINATE, COORDINATE)
FOUR = row_of(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
# Two coordinates, then 1 (positive) or 0 (negative).
SIGNED = row_of(COORDINATE, COORDINATE, convert(number(), _sign))


def _write(prompt_set: PromptSet) -> dict[str, list[Any]]:
    """Return a prompt set as JSON values; what is empty is left out."""
    fields: dict[str, list[Any]] = {
        "boxes": [[box.x0, box.y0, box.x1, box.y1] for box in prompt_set.boxes],
        "points": [[point.x, point.y, int(point.positive)] for point in prompt_set.points],
        "strokes": [
            {"points": _lists(stroke.points), "positive": bool(stroke.positive)}
            for stroke in prompt_set.strokes
        ],
        "lines": [[*map(float, (*line.start, *line.end))] for line in prompt_set.lines],
        "outlines": [_lists(outline.vertices) for outline in prompt_set.outlines],
    }
    return {name: values for name, values in fields.items() if values}


def _lists(pairs: tuple[Pair, ...]) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in pairs]


def _line(ends: tuple[float, float, float, float]) -> Line:
    x0, y0, x1, y1 = ends
    return Line((x0, y0), (x1, y1))


# Fields that are missing are empty.
_READ = record(
    PromptSet,
    {},
    {
        "boxes": list_of(convert(FOUR, lambda corners: Box(*corners))),
        "points": list_of(convert(SIGNED, lambda point: Point(*point))),
        "strokes": list_of(
            record(
                Stroke,
                {"points": list_of(PAIR, at_least=1), "positive": flag},
                unknown="refuse",
            )
        ),
        "lines": list_of(convert(FOUR, _line)),
        "outlines": list_of(convert(list_of(PAIR, at_least=3), Outline)),
    },
    unknown="refuse",
)
# How a document holds a prompt set.
PROMPTS = Form(_READ, _write)


FORMAT = "napari-samri-prompts"
VERSION = 1
_HINT = f'Expected a JSON file of prompts, an object with "format": "{FORMAT}".'
_Index = Annotated[int, integer(0)]
_Corners = Annotated[tuple[float, float, float, float], FOUR]
_Signed = Annotated[tuple[float, float, int], SIGNED]


@dataclass(frozen=True)
class SliceRequest:
    """Boxes and points for one label on one slice of a file.

    Parameters
    ----------
    axis, index : int
        The slice: its axis among the file's first three, and its index along it.
    boxes : tuple of (LO0, LO1, HI0, HI1)
        Inclusive voxel indices along the two other axes, in ascending order of the axes.
    points : tuple of (P0, P1, 1 or 0)
        Voxel indices likewise; 1 is positive, 0 negative.
    label : int
        What the mask is written as.
    time : int or None
        Time point of a 4D file.
    """

    axis: Annotated[int, integer(0, 2)]
    index: _Index
    boxes: tuple[_Corners, ...] = ()
    points: tuple[_Signed, ...] = ()
    label: Annotated[int, integer(1, MAX_LABEL)] = 1
    time: _Index | None = None


_DOCUMENT = record(
    lambda prompts: prompts,
    {"prompts": list_of(reader_of(SliceRequest), at_least=1)},
    marks={"format": FORMAT, "version": VERSION},
)


def read_requests(path: Path) -> tuple[SliceRequest, ...]:
    """Read the requests of a JSON file.

    Raises
    ------
    InputError
        If the file is missing, no JSON, or not of this format; the message names the entry.
    """
    requests: tuple[SliceRequest, ...] = read_json(path, _DOCUMENT, hint=_HINT)
    return requests

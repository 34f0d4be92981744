"""What was drawn, as JSON values, in pixels (x, y) of its slice.

.. code-block:: json

    {"boxes": [[60, 80, 120, 150]], "points": [[85, 100, 1], [40, 41, 0]],
     "strokes": [{"points": [[1, 2], [3, 4]], "positive": true}],
     "lines": [[10, 12, 30, 40]], "outlines": [[[5, 5], [9, 5], [7, 9]]]}

The file that such an object is part of says its format and version.
"""

from __future__ import annotations

from typing import Any

from napari_samri.errors import InputError
from napari_samri.prompts.drawing import Line, Outline, Pair, Stroke
from napari_samri.prompts.fields import read_list, read_numbers, read_signed
from napari_samri.prompts.prompt import Box, Point
from napari_samri.prompts.prompt_set import PromptSet

FIELDS = ("boxes", "points", "strokes", "lines", "outlines")


def to_json(prompt_set: PromptSet) -> dict[str, list[Any]]:
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


def from_json(content: Any) -> PromptSet:
    """Return the prompt set that `to_json` wrote; fields that are missing are empty.

    Raises
    ------
    InputError
        If the values are not those of `to_json`; the message names the field.
    """
    if not isinstance(content, dict):
        message = f"prompts are a {type(content).__name__}; expected an object."
        raise InputError(message)
    if unknown := sorted(str(name) for name in content.keys() - set(FIELDS)):
        message = f"prompts have unknown fields {unknown}; expected {list(FIELDS)}."
        raise InputError(message)
    entries = {
        name: [
            (value, f"{name}[{n}]") for n, value in enumerate(read_list(content, name, "prompts"))
        ]
        for name in FIELDS
    }
    return PromptSet(
        boxes=tuple(Box(*read_numbers(value, 4, where)) for value, where in entries["boxes"]),
        points=tuple(Point(*read_signed(value, where)) for value, where in entries["points"]),
        strokes=tuple(_stroke(value, where) for value, where in entries["strokes"]),
        lines=tuple(_line(value, where) for value, where in entries["lines"]),
        outlines=tuple(Outline(_pairs(value, where, 3)) for value, where in entries["outlines"]),
    )


def _lists(pairs: tuple[Pair, ...]) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in pairs]


def _line(value: Any, where: str) -> Line:
    x0, y0, x1, y1 = read_numbers(value, 4, where)
    return Line((x0, y0), (x1, y1))


def _stroke(value: Any, where: str) -> Stroke:
    if not isinstance(value, dict) or value.keys() != {"points", "positive"}:
        message = f'{where} is {value!r}; expected an object of "points" and "positive".'
        raise InputError(message)
    if not isinstance(value["positive"], bool):
        message = f"{where}.positive is {value['positive']!r}; expected true or false."
        raise InputError(message)
    return Stroke(_pairs(value["points"], f"{where}.points", 1), value["positive"])


def _pairs(value: Any, where: str, at_least: int) -> tuple[Pair, ...]:
    if not isinstance(value, list) or len(value) < at_least:
        message = f"{where} is {value!r}; expected a list of at least {at_least} pairs [x, y]."
        raise InputError(message)
    return tuple(read_numbers(pair, 2, f"{where}[{n}]") for n, pair in enumerate(value))

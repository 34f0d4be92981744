"""What was drawn, as JSON values, in pixels (x, y) of its slice.

.. code-block:: json

    {"boxes": [[60, 80, 120, 150]], "points": [[85, 100, 1], [40, 41, 0]],
     "strokes": [{"points": [[1, 2], [3, 4]], "positive": true}],
     "lines": [[10, 12, 30, 40]], "outlines": [[[5, 5], [9, 5], [7, 9]]]}

The file that such an object is part of says its format and version.
"""

from __future__ import annotations

from typing import Any

from napari_samri.codec import Form, convert, flag, list_of, record
from napari_samri.prompts.drawing import Line, Outline, Pair, Stroke
from napari_samri.prompts.fields import FOUR, PAIR, SIGNED
from napari_samri.prompts.prompt import Box, Point
from napari_samri.prompts.prompt_set import PromptSet


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

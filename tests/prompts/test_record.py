"""Prompt sets as JSON: the same back, and bad fields named."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.codec import Flaw
from napari_samri.prompts import (
    PROMPTS,
    Box,
    Line,
    Outline,
    Point,
    PromptSet,
    Stroke,
)

NUMBER = st.floats(-1e9, 1e9)
PAIR = st.tuples(NUMBER, NUMBER)


def tuples(values, at_least=0):
    return st.lists(values, min_size=at_least, max_size=4).map(tuple)


PROMPT_SETS = st.builds(
    PromptSet,
    boxes=tuples(st.builds(Box, NUMBER, NUMBER, NUMBER, NUMBER)),
    points=tuples(st.builds(Point, NUMBER, NUMBER, st.booleans())),
    strokes=tuples(st.builds(Stroke, tuples(PAIR, 1), st.booleans())),
    lines=tuples(st.builds(Line, PAIR, PAIR)),
    outlines=tuples(st.builds(Outline, tuples(PAIR, 3))),
)


@given(PROMPT_SETS)
def test_a_prompt_set_comes_back_as_it_was(prompt_set):
    back = PROMPTS.read(json.loads(json.dumps(PROMPTS.write(prompt_set), allow_nan=False)))
    assert back == prompt_set
    assert hash(back) == hash(prompt_set)


def test_the_form_exactly():
    drawn = PromptSet(
        (Box(1, 2, 3, 4),),
        (Point(5, 6), Point(7, 8, positive=False)),
        (Stroke(((1, 2), (3, 4)), positive=False),),
        (Line((1, 2), (3, 4)),),
        (Outline(((0, 0), (1, 0), (1, 1))),),
    )
    assert PROMPTS.write(drawn) == {
        "boxes": [[1, 2, 3, 4]],
        "points": [[5, 6, 1], [7, 8, 0]],
        "strokes": [{"points": [[1, 2], [3, 4]], "positive": False}],
        "lines": [[1, 2, 3, 4]],
        "outlines": [[[0, 0], [1, 0], [1, 1]]],
    }
    assert PROMPTS.write(PromptSet()) == {}
    assert PROMPTS.read({}) == PromptSet()


BAD = [
    ([], "a list of 0; expected an object"),
    (None, "is None; expected an object"),
    ({"box": []}, "unknown fields, e.g. 'box'"),
    ({"boxes": {}}, "boxes is an object of 0 entries; expected a list"),
    ({"boxes": [[1, 2, 3, 4], [1, 2, 3]]}, "boxes[1] is a list of 3; expected a list of 4"),
    ({"boxes": [[1, 2, 3, math.nan]]}, "boxes[0][3] is nan"),
    ({"boxes": [[1, 2, 3, 1e10]]}, "boxes[0][3]"),
    ({"points": [[1, 2]]}, "points[0] is a list of 2"),
    ({"points": [[1, 2, 0.5]]}, "points[0][2] is 0.5: expected 1 (positive)"),
    ({"strokes": [[[1, 2]]]}, "strokes[0]"),
    ({"strokes": [{"points": [[1, 2]]}]}, "strokes[0] has no 'positive'"),
    ({"strokes": [{"points": [], "positive": True}]}, "strokes[0].points is a list of 0"),
    ({"strokes": [{"points": [[1]], "positive": True}]}, "strokes[0].points[0]"),
    ({"strokes": [{"points": [[1, 2]], "positive": 1}]}, "strokes[0].positive is 1"),
    ({"lines": [[1, 2, 3, "4"]]}, "lines[0][3] is '4'"),
    ({"outlines": [[[0, 0], [1, 1]]]}, "outlines[0] is a list of 2; expected a list of 3"),
    ({"outlines": [[[0, 0], [1, 1], [2, None]]]}, "outlines[0][2][1] is None"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_bad_fields_are_named(content, said):
    with pytest.raises(Flaw) as caught:
        PROMPTS.read(content)
    assert said in str(caught.value)

"""Prompt sets as JSON: the same back, and bad fields named."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.codec import Flaw
from napari_samri.errors import InputError
from napari_samri.prompts import (
    PROMPTS,
    Box,
    Line,
    Outline,
    Point,
    PromptSet,
    SliceRequest,
    Stroke,
    read_requests,
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


BOX = [1, 2, 3, 4]


def write(folder, entries, **changes):
    path = folder / "prompts.json"
    content = {"format": "napari-samri-prompts", "version": 1, "prompts": entries} | changes
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_requests_are_read_in_order(tmp_path):
    path = write(
        tmp_path,
        [
            {"axis": 2, "index": 9, "boxes": [BOX, [5, 6, 7.5, 8]]},
            {"label": 7, "axis": 0, "index": 1, "time": 3, "points": [[5, 6, 1], [7, 8, 0]]},
        ],
    )
    assert read_requests(path) == (
        SliceRequest(2, 9, boxes=((1, 2, 3, 4), (5, 6, 7.5, 8))),
        SliceRequest(0, 1, points=((5, 6, 1), (7, 8, 0)), label=7, time=3),
    )


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = write(tmp_path, [{"axis": 0, "index": 0, "boxes": [BOX]}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_requests(path)) == 1


BAD_ENTRIES = [
    ("text", " is 'text'; expected an object"),
    ({"index": 0}, " has no 'axis'"),
    ({"axis": 3, "index": 0}, ".axis is 3; expected a whole number from 0 to 2"),
    ({"axis": True, "index": 0}, ".axis is True"),
    ({"axis": 0}, " has no 'index'"),
    ({"axis": 0, "index": -1}, ".index is -1"),
    ({"axis": 0, "index": 1.5}, ".index is 1.5"),
    ({"axis": 0, "index": 0, "label": 0}, ".label is 0"),
    ({"axis": 0, "index": 0, "label": 65536}, ".label is 65536"),
    ({"axis": 0, "index": 0, "time": "1"}, ".time is '1'"),
    ({"axis": 0, "index": 0, "boxes": "all"}, ".boxes is 'all'; expected a list"),
    ({"axis": 0, "index": 0, "boxes": [BOX, [1, 2, 3]]}, ".boxes[1] is a list of 3"),
    ({"axis": 0, "index": 0, "boxes": [[1, 2, 3, "4"]]}, ".boxes[0][3] is '4'"),
    ({"axis": 0, "index": 0, "boxes": [[1, 2, 3, float("nan")]]}, ".boxes[0][3] is nan"),
    ({"axis": 0, "index": 0, "boxes": [[1, 2, 3, float("inf")]]}, ".boxes[0][3] is inf"),
    ({"axis": 0, "index": 0, "boxes": [[1, 2, 3, 10**300]]}, ".boxes[0][3] is a huge number"),
    ({"axis": 0, "index": 0, "points": [[1, 2]]}, ".points[0] is a list of 2"),
    ({"axis": 0, "index": 0, "points": [[1, 2, 2]]}, "expected 1 (positive) or 0 (negative)"),
    ({"axis": 0, "index": 0, "points": [[1, 2, True]]}, ".points[0][2] is True"),
    ({"axis": 0, "index": 0, "box": [BOX]}, " has unknown fields, e.g. 'box'"),
]


@pytest.mark.parametrize(("entry", "said"), BAD_ENTRIES)
def test_a_bad_entry_is_named_by_file_and_number(tmp_path, entry, said):
    good = {"axis": 0, "index": 0, "boxes": [BOX]}
    with pytest.raises(InputError, match=r"prompts\.json: prompts\[1\]") as caught:
        read_requests(write(tmp_path, [good, entry]))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "other"}, "has the format 'other'"),
        ({"version": 2}, "has the version 2; expected 1"),
        ({"version": 1.0}, "has the version 1.0"),
        ({"prompts": []}, "prompts is a list of 0; expected a list of 1"),
        ({"prompts": {}}, "prompts is an object"),
    ],
)
def test_another_format_is_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=rf"prompts\.json.*{said}"):
        read_requests(write(tmp_path, [], **changes))


@pytest.mark.parametrize(
    "content",
    [
        b"1" * 401,
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b"1" * 10_000,
        b"\x89PNG\r\n",
    ],
)
def test_what_is_no_json_of_ours_is_refused(tmp_path, content):
    path = tmp_path / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"prompts\.json"):
        read_requests(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match=path.name):
            read_requests(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="is no file"):
            read_requests(path)

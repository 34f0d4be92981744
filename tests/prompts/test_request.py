"""Requests in a file's own indices, and their JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from napari_samri.errors import InputError
from napari_samri.prompts import SliceRequest, read_requests

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

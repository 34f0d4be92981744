from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.codec import anything, parse_json, read_json
from napari_samri.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('a"\\[]{}é'), inner),
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_sound_documents_come_out_as_json_reads_them(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert parse_json(text, anything, "x") == value
        assert parse_json(text.encode(), anything, "x") == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_document(encoding: str) -> None:
    assert parse_json('{"a": "é"}'.encode(encoding), anything, "x") == {"a": "é"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\x00", "no text in utf-8"),
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[1] 2", "JSON"),
        (b"[NaN]", "finite"),
        (b"[-Infinity]", "finite"),
        (b'{"a": [1, 1e999]}', "a[1]"),
        (b"[" * 10_000 + b"]" * 10_000, "10,000 levels"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "70 levels"),
        (b'["]]]]]",' * 70 + b"1" + b"]" * 70, "70 levels"),
        (rb'["\"]\\",' * 70 + b"1" + b"]" * 70, "70 levels"),
        (b"9" * 5000, "400 digits"),
        (b"1" + b"0" * 30, "whole number"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' twice"),
        (rb'["\ud800"]', "text"),
        (b" " * 1001, "1,000 bytes"),
    ],
)
def test_hostile_documents_are_refused_in_words(content: bytes, words: str) -> None:
    limit = 1000 if content.isspace() else 1 << 20
    with pytest.raises(InputError, match=r"^x: ") as raised:
        parse_json(content, anything, "x", limit)
    assert words in str(raised.value)
    assert len(str(raised.value)) < 300


def test_brackets_within_texts_are_no_levels() -> None:
    texts = ["[" * 1000, '\\"[{' * 100, "{" * 100 + "\\", '"']
    assert parse_json(json.dumps(texts), anything, "x") == texts


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        read_json(tmp_path / "missing", anything)
    with pytest.raises(InputError, match="is no file"):
        read_json(tmp_path, anything)
    with pytest.raises(InputError, match="name of a file"):
        read_json(tmp_path / "a\0b", anything)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no file"):
        read_json(tmp_path / "pipe", anything)


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole
    with pytest.raises(InputError, match="larger than 1,000"):
        read_json(path, anything, 1000, hint="Make it anew.")

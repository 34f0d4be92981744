"""The label table: what it refuses, and how it comes back from JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.codec import Flaw, from_plain, to_plain
from napari_samri.errors import InputError
from napari_samri.geometry import MAX_LABEL
from napari_samri.session.labels import PALETTE, Label, LabelTable

TABLES = st.builds(
    lambda entries: LabelTable(
        tuple(Label(n, *rest) for n, rest in sorted(entries.items())), min(entries)
    ),
    st.dictionaries(
        st.integers(1, MAX_LABEL),
        st.tuples(st.text(), st.sampled_from(PALETTE), st.booleans()),
        min_size=1,
        max_size=6,
    ),
)


@given(TABLES)
def test_json(table: LabelTable) -> None:
    assert from_plain(LabelTable, json.loads(json.dumps(to_plain(table)))) == table


@given(TABLES)
def test_a_label_that_is_added_is_new_and_active(table: LabelTable) -> None:
    added = table.add()
    assert added.active not in table
    assert 1 <= added.active <= MAX_LABEL
    assert len(added.labels) == len(table.labels) + 1
    assert added.remove(added.active).labels == table.labels


def test_ids_follow_the_highest_until_there_are_none() -> None:
    table = LabelTable.fresh().add(label=8)
    assert table.add().active == 9
    assert table.add(limit=8).active == 2
    assert table.add(label=MAX_LABEL).add().active == 2
    with pytest.raises(InputError, match="cannot be added"):
        LabelTable.fresh().add(limit=1).add(label=1)


def test_properties() -> None:
    table = LabelTable.fresh().add("liver", 4).change(4, locked=True)
    assert table.locked == (4,)
    assert table[4] == Label(4, "liver", PALETTE[3], True)
    assert [entry.id for entry in table.add(label=2)] == [1, 2, 4]
    assert table.activate(1).active == 1
    assert table.remove(4).active == 1
    assert 4 not in table.remove(4)


@pytest.mark.parametrize(
    "action",
    [
        lambda t: t.add(label=1),
        lambda t: t.add(label=0),
        lambda t: t.add(label=MAX_LABEL + 1),
        lambda t: t.remove(1),
        lambda t: t.remove(5),
        lambda t: t.activate(5),
        lambda t: t.change(5, name="x"),
    ],
)
def test_what_cannot_be(action: Any) -> None:
    with pytest.raises(InputError):
        action(LabelTable.fresh())


GOOD = {"id": 1, "name": "a", "colour": "#102030", "locked": False}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"labels": [], "active": 1},
        {"labels": [GOOD], "active": 2},
        {"labels": [GOOD, GOOD], "active": 1},
        {"labels": [GOOD | {"id": 0}], "active": 0},
        {"labels": [GOOD | {"id": 70000}], "active": 70000},
        {"labels": [GOOD | {"colour": "red"}], "active": 1},
        {"labels": [GOOD | {"colour": "+12345"}], "active": 1},
        {"labels": [GOOD | {"colour": "12_456"}], "active": 1},
        {"labels": [{"id": 1}], "active": 1},
        {"labels": [GOOD], "active": math.inf},
        {"labels": [GOOD | {"id": True}], "active": 1},
        {"labels": [GOOD | {"name": 5}], "active": 1},
        {"labels": [GOOD | {"locked": 1}], "active": 1},
    ],
)
def test_json_of_another_layout(content: Any) -> None:
    with pytest.raises(Flaw):
        from_plain(LabelTable, content)

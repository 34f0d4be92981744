from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from napari_samri.codec import (
    Unreadable,
    convert,
    flag,
    integer,
    line,
    list_of,
    map_of,
    number,
    one_of,
    optional,
    parse_json,
    read_each,
    record,
    row_of,
    text,
)
from napari_samri.errors import InputError


@dataclass(frozen=True)
class Item:
    count: int
    size: float = 1.0

    def __post_init__(self) -> None:
        if self.count == 13:
            message = "13 brings bad luck"
            raise InputError(message)


ITEM = record(Item, {"count": integer(0, 20)}, {"size": number(0)})


@pytest.mark.parametrize(
    ("reader", "document", "value"),
    [
        (integer(0, 3), "3", 3),
        (number(), "3", 3.0),
        (optional(number()), "null", None),
        (one_of("a", 1), "1", 1),
        (line(5), '"äb c"', "äb c"),
        (text(pattern="[a-f]*"), '""', ""),
        (row_of(integer(), flag), "[1, true]", (1, True)),
        (map_of(integer(), convert(text(), int)), '{"1": 2}', {1: 2}),
        (list_of(ITEM), '[{"count": 1}, {"count": 2, "size": 3}]', (Item(1), Item(2, 3.0))),
        (record(dict, {}, marks={"version": 1}), '{"version": 1, "x": 2}', {}),
    ],
)
def test_what_fits_is_read(reader: Any, document: str, value: object) -> None:
    assert parse_json(document, reader, "x") == value


@pytest.mark.parametrize(
    ("reader", "document", "words"),
    [
        (integer(0, 3), "4", "is 4; expected a whole number from 0 to 3"),
        (integer(), "true", "is True"),
        (integer(), "1.0", "is 1.0"),
        (number(0, 1), "1.5", "0 to 1"),
        (number(), "1" + "0" * 330, "is a huge number"),
        (number(), '"1"', "is '1'"),
        (flag, "0", "true or false"),
        (one_of("a", 1), "true", "one of 'a', 1"),
        (line(5), '"a\\nb"', "printable"),
        (line(5), '"abcdef"', "at most 5"),
        (text(pattern="[a-f]+"), '"g"', "like"),
        (text(3), '"abcd"', "at most 3"),
        (list_of(integer(), 1, 2), "[]", "1 to 2 entries"),
        (list_of(integer()), '{"a": 1}', "an object of 1 entries; expected a list"),
        (row_of(integer(), flag), "[1]", "a list of 2"),
        (row_of(integer(), flag), "[1, 2]", "x: [1] is 2"),
        (map_of(integer(), convert(text(), int)), '{"a": 2}', "is 'a'"),
        (list_of(ITEM), '[{"count": 1}, {"count": 1, "size": -1}]', "x: [1].size is -1"),
        (ITEM, '{"count": 13}', "bad luck"),
        (ITEM, '{"size": 1}', "no 'count'"),
        (ITEM, "[]", "expected an object"),
        (record(dict, {}, unknown="refuse"), '{"x": 2}', "'x'"),
        (
            record(dict, {"a": flag}, marks={"version": 1}),
            '{"version": 2}',
            "version 2; expected 1",
        ),
        (record(dict, {}, marks={"version": 1}), '{"version": true}', "version True"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    reader: Any, document: str, words: str
) -> None:
    with pytest.raises(InputError) as raised:
        parse_json(document, reader, "x", hint="Make it anew.")
    assert words in str(raised.value)
    assert str(raised.value).endswith("Make it anew.")


def test_a_damaged_item_takes_no_other_along() -> None:
    def read(path: Path) -> str | None:
        if path.name == "b":
            message = "b: is damaged"
            raise InputError(message)
        return None if path.name == "c" else path.name

    found = read_each([Path(f"in/{name}") for name in "abcd"], read)
    assert found.good == ("a", "d")
    assert found.bad == (Unreadable("b", "b: is damaged"),)
    assert str(found.bad[0]) == "b: is damaged"

"""Dataclasses as documents: what is written is read again, and nothing else is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_samri.codec import (
    Axes,
    Flaw,
    Form,
    Tagged,
    convert,
    from_plain,
    integer,
    parse_json,
    reader_of,
    text,
    to_plain,
)
from napari_samri.errors import InputError


@dataclass(frozen=True)
class Corner:
    x: float
    y: float = 0.0


@dataclass(frozen=True)
class Ring:
    radius: float

    def __post_init__(self) -> None:
        if self.radius <= 0:
            message = f"the radius is {self.radius}; expected more than 0."
            raise InputError(message)


def _number(digits: str) -> int:
    return int(digits, 16)


@dataclass(frozen=True, kw_only=True)
class Everything:
    flag: bool
    count: int
    share: float
    name: str
    path: Path
    raw: bytes
    mode: Literal["fast", "exact"]
    corner: Corner
    corners: tuple[Corner, ...]
    pair: tuple[int, str]
    values: Mapping[str, float]
    shape: Corner | Ring
    bounded: Annotated[int, integer(1, 3)]
    hexadecimal: Annotated[int, Form(convert(text(), _number), hex)]
    maybe: Corner | Ring | None = None
    seconds: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    computed: int = field(default=3, init=False)


WHOLE = Everything(
    flag=True,
    count=2,
    share=0.5,
    name="é",
    path=Path("a") / "b",
    raw=b"\x00\xff",
    mode="exact",
    corner=Corner(1, 2),
    corners=(Corner(3), Corner(4, 5)),
    pair=(7, "x"),
    values={"loss": 1.5},
    shape=Ring(2),
    bounded=3,
    hexadecimal=255,
    maybe=Corner(1),
    details={"a": [1, {"b": None}]},
)
PLAIN = {
    "flag": True,
    "count": 2,
    "share": 0.5,
    "name": "é",
    "path": str(Path("a") / "b"),
    "raw": "AP8=",
    "mode": "exact",
    "corner": {"x": 1.0, "y": 2.0},
    "corners": [{"x": 3.0, "y": 0.0}, {"x": 4.0, "y": 5.0}],
    "pair": [7, "x"],
    "values": {"loss": 1.5},
    "shape": {"kind": "ring", "radius": 2.0},
    "bounded": 3,
    "hexadecimal": "0xff",
    "maybe": {"kind": "corner", "x": 1.0, "y": 0.0},
    "seconds": None,
    "details": {"a": [1, {"b": None}]},
}


def test_a_dataclass_becomes_json_values_and_itself_again() -> None:
    assert to_plain(WHOLE) == PLAIN
    assert from_plain(Everything, PLAIN) == WHOLE


def test_fields_with_a_default_may_be_missing() -> None:
    assert from_plain(Corner, {"x": 1}) == Corner(1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("flag", 1, "flag"),
        ("count", True, "count"),
        ("count", 1.0, "count"),
        ("count", 10**17, "count"),
        ("share", True, "share"),
        ("share", float("nan"), "share"),
        ("share", float("inf"), "share"),
        ("share", "0.5", "share"),
        ("name", None, "name"),
        ("name", "\ud800", "name"),
        ("path", 3, "path"),
        ("raw", "!", "raw"),
        ("mode", "slow", "mode"),
        ("corner", {"y": 1.0}, "corner"),
        ("corner", {"x": 1.0, "z": 1.0}, "corner"),
        ("corners", [{"x": 1.0}, {"x": None}], "corners[1].x"),
        ("corners", {"x": 1.0}, "corners"),
        ("pair", [7], "pair"),
        ("pair", ["x", 7], "pair[0]"),
        ("values", {"loss": None}, "values.'loss'"),
        ("shape", {"radius": 2.0}, "shape"),
        ("shape", {"kind": "square"}, "shape.kind"),
        ("shape", {"kind": ["ring"]}, "shape.kind"),
        ("shape", {"kind": "ring", "radius": -1.0}, "shape"),
        ("shape", None, "shape"),
        ("bounded", 4, "bounded"),
        ("seconds", float("nan"), "seconds"),
        ("details", {"a": [float("nan")]}, "details"),
        ("computed", 3, ""),
        ("unheard", 1, ""),
    ],
)
def test_what_a_field_is_not_is_refused_with_its_place(name: str, value: Any, place: str) -> None:
    with pytest.raises(Flaw) as caught:
        from_plain(Everything, {**PLAIN, name: value})
    assert caught.value.place.startswith(place)


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in {"maybe", "seconds"}])
def test_a_missing_field_is_refused_unless_it_has_a_default(name: str) -> None:
    rest = {key: value for key, value in PLAIN.items() if key != name}
    if name == "details":
        assert from_plain(Everything, rest).details == {}
        return
    with pytest.raises(Flaw, match=f"has no '{name}'"):
        from_plain(Everything, rest)


def test_fields_of_a_later_version_are_dropped_where_that_is_asked_for() -> None:
    later = {"corner": {"x": 1, "z": 2}, "w": 3}

    @dataclass(frozen=True)
    class Holder:
        corner: Corner

    assert from_plain(Holder, later, "drop") == Holder(Corner(1))
    with pytest.raises(Flaw, match="unknown fields"):
        from_plain(Holder, later)


def test_a_type_reads_as_part_of_a_document() -> None:
    assert parse_json("[1, 2]", reader_of(tuple[int, ...]), "it") == (1, 2)
    assert to_plain((Corner(1),), tuple[Corner, ...]) == [{"x": 1.0, "y": 0.0}]
    with pytest.raises(InputError, match=r"it: \[1\] is"):
        parse_json('[1, "2"]', reader_of(tuple[int, ...]), "it")


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    written = to_plain(
        (np.bool_(True), np.int16(3), np.float32(0.5)),
        tuple[bool, int, float],
    )
    assert written == [True, 3, 0.5]
    assert [type(value) for value in written] == [bool, int, float]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, True])
def test_what_could_not_be_read_again_is_not_written(value: Any) -> None:
    with pytest.raises(Flaw):
        to_plain(Corner(value))


@pytest.mark.parametrize("kind", [set[int], int | str, Mapping[int, str], object, complex])
def test_a_type_without_a_form_says_so(kind: Any) -> None:
    with pytest.raises(TypeError, match="no form as JSON"):
        reader_of(kind)


# Messages


@dataclass(frozen=True, eq=False)
class Look:
    pixels: Annotated[NDArray[np.float32], Axes(2)]
    mask: NDArray[np.bool_] | None = None
    levels: tuple[NDArray[Any], ...] = ()
    named: Mapping[str, NDArray[Any]] = field(default_factory=dict)


MESSAGES: Tagged[Any] = Tagged.of(Look, Corner, tag="is")
PIXELS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_arrays_travel_beside_their_message() -> None:
    look = Look(PIXELS, PIXELS > 2, (np.arange(3), np.zeros(())), {"low": np.ones(2, np.uint8)})
    head, arrays = MESSAGES.pack(look)
    assert head == {
        "is": "look",
        "pixels": None,
        "mask": None,
        "levels": [None, None],
        "named": {"low": None},
    }
    assert list(arrays) == ["pixels", "mask", "levels.0", "levels.1", "named.low"]
    read = MESSAGES.unpack(head, arrays)
    assert read.pixels is look.pixels
    assert read.mask is look.mask
    assert read.levels[1] is look.levels[1]
    assert read.named["low"] is look.named["low"]
    assert MESSAGES.unpack(*MESSAGES.pack(Corner(1))) == Corner(1)


def test_what_was_left_out_may_hold_an_array() -> None:
    read = MESSAGES.unpack({"is": "look"}, {"pixels": PIXELS})
    assert read.pixels is PIXELS
    assert read.mask is None


@pytest.mark.parametrize(
    ("head", "arrays"),
    [
        ({}, {}),
        ({"is": 3}, {}),
        ({"is": "square"}, {}),
        ({"is": "look"}, {}),
        ({"is": "look", "pixels": [[1.0]]}, {}),
        ({"is": "look", "pixels": 1}, {"pixels": PIXELS}),
        ({"is": "look"}, {"pixels": PIXELS.astype(float)}),
        ({"is": "look"}, {"pixels": PIXELS[0]}),
        ({"is": "look"}, {"pixels": PIXELS, "mask": PIXELS}),
        ({"is": "look"}, {"pixels": PIXELS, "unheard": PIXELS}),
        ({"is": "look"}, {"pixels": PIXELS, "": PIXELS}),
        ({"is": "look"}, {"pixels": PIXELS, "is.x": PIXELS}),
        ({"is": "look", "levels": [None]}, {"pixels": PIXELS, "levels.1": PIXELS}),
        ({"is": "look", "levels": [None]}, {"pixels": PIXELS, "levels.-1": PIXELS}),
        ({"is": "look", "levels": [None]}, {"pixels": PIXELS}),
        ({"is": "look"}, {"pixels": PIXELS, "named": PIXELS}),
        ({"is": "look"}, {"pixels": PIXELS} | {f"named.{n}": PIXELS for n in range(2000)}),
        ({"is": "corner", "x": 1}, {"y": PIXELS}),
    ],
)
def test_arrays_that_do_not_belong_are_refused(head: Any, arrays: Any) -> None:
    before = repr(head)
    with pytest.raises(Flaw):
        MESSAGES.unpack(head, arrays)
    assert repr(head) == before


def test_a_document_takes_no_arrays() -> None:
    with pytest.raises(TypeError, match=r"no place for arrays; found pixels"):
        MESSAGES.to_plain(Look(PIXELS))


def test_a_message_of_no_kind_is_not_written() -> None:
    with pytest.raises(TypeError, match="Ring is none of the kinds look, corner"):
        MESSAGES.to_plain(Ring(1))


def test_kinds_may_be_registered_later() -> None:
    registry: dict[str, type[Any]] = {}
    messages: Tagged[Any] = Tagged(registry)
    with pytest.raises(Flaw):
        messages.from_plain({"kind": "mine/ring", "radius": 1})
    registry["mine/ring"] = Ring
    assert messages.from_plain(messages.to_plain(Ring(1))) == Ring(1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab1/", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*PLAIN, "kind", "x"]), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.sampled_from([*PLAIN, "kind"]), JSON, max_size=3))
def test_any_other_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        read = from_plain(Everything, {**PLAIN, **changes})
    except Flaw:
        return
    assert from_plain(Everything, to_plain(read)) == read

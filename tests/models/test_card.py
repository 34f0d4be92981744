"""Cards: what goes in comes out, and what no card can say is refused."""

from __future__ import annotations

import getpass
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.errors import InputError, ModelError
from napari_samri.models.card import Base, DecoderCard
from tests.tuning import make_card

PATH = Path("knees.safetensors")


@given(
    title=st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1).filter(
        str.isprintable
    ),
    count=st.integers(0, 2**63),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    stale=st.booleans(),
)
def test_a_card_survives_its_header(
    title: str, count: int, score: float | None, stale: bool
) -> None:
    card = make_card(
        title=title, samples=count, seed=count, scores={"dice": score}, trains_quality=stale
    )
    header = card.to_header()
    assert all(type(value) is str for value in header.values())
    assert DecoderCard.from_header(header, PATH) == card


def test_optional_entries_may_be_missing_and_unknown_ones_are_left_out() -> None:
    header = make_card().to_header()
    values = json.loads(header["card"])
    del values["scores"], values["description"]
    values["of a later version"] = 1
    card = DecoderCard.from_header(header | {"card": json.dumps(values)}, PATH)
    assert card == make_card(scores={})


OBJECTIVES = {
    "samri-box": ({"p_box": 1.0, "with_point": False, "n_steps": 0}, False, "single"),
    "samri-bp": ({"p_box": 1.0, "with_point": True, "n_steps": 0}, True, "single"),
    "simple": ({"p_box": 0.5, "with_point": False, "n_steps": 0}, True, "best"),
    "medicosam": ({"p_box": 0.5, "with_point": False, "n_steps": 8}, True, "best"),
    "box, corrected": ({"p_box": 1, "with_point": False, "n_steps": 2}, True, "single"),
    "unknown": ({"name": "somebody's"}, True, "single"),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_card_of_an_older_version_is_read_by_its_objective(name: str) -> None:
    """What it does not say is what its decoder was tuned with: exact prompts, and these."""
    objective, takes_points, lone_point = OBJECTIVES[name]
    header = make_card(objective=objective).to_header()
    values = json.loads(header["card"])
    for entry in ("exact_prompts", "takes_points", "lone_point"):
        del values[entry]
    card = DecoderCard.from_header(header | {"card": json.dumps(values)}, PATH)
    assert (card.exact_prompts, card.takes_points) == (True, takes_points)
    assert card.lone_point == lone_point


def test_what_a_card_says_counts_more_than_its_objective() -> None:
    card = make_card(
        objective=OBJECTIVES["medicosam"][0],
        exact_prompts=False,
        takes_points=False,
        lone_point="single",
    )
    assert DecoderCard.from_header(card.to_header(), PATH) == card


def test_a_card_names_no_person_and_no_folder() -> None:
    text = make_card(base=Base(name="knees.pth", sha256="2" * 64)).to_header()["card"]
    assert str(Path.home()) not in text
    assert f'"{getpass.getuser()}"' not in text
    assert {f.name for f in fields(Base)} == {"name", "sha256"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"title": ""}, "no title"),
        ({"title": "a\nb"}, "title is 'a"),
        ({"title": 3}, "title is 3"),
        ({"title": "x" * 1001}, "title"),
        ({"encoder": "0" * 63}, "encoder"),
        ({"encoder": "X" * 64}, "encoder"),
        ({"prompt_encoder": ""}, "prompt_encoder"),
        ({"seed": -1}, "seed is -1"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"samples": True}, "samples is True"),
        ({"scores": {"dice": float("nan")}}, "scores"),
        ({"scores": {"dice": "good"}}, "good"),
        ({"objective": {"name": object()}}, "objective"),
        ({"trains_quality": "no"}, "trains_quality"),
        ({"exact_prompts": 1}, "exact_prompts"),
        ({"takes_points": None}, "takes_points"),
        ({"lone_point": "largest"}, "lone_point is 'largest'"),
        ({"base": Base(name="")}, "no base"),
        ({"base": Base(name="x", sha256="12")}, "base.sha256 is '12'"),
        ({"base": Base(name="/home/somebody/x.pth", sha256="2" * 64)}, "a path"),
        ({"base": Base(name="..\\x.pth", sha256="2" * 64)}, "a path"),
    ],
)
def test_what_no_card_can_say(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as caught:
        make_card(**change)
    assert named in str(caught.value)


def damaged(card: str | None = None, **entries: Any) -> dict[str, str]:
    header = make_card().to_header()
    values = json.loads(header["card"]) | entries
    return header | {"card": json.dumps(values) if card is None else card}


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"format": "pt"},
        damaged() | {"format": "other"},
        damaged() | {"version": "2"},
        damaged(""),
        damaged("[]"),
        damaged("null"),
        damaged("{}"),
        damaged('{"title": NaN}'),
        damaged(title=None),
        damaged(base=None),
        damaged(base="sam-vit-b"),
        damaged(base={}),
        damaged(scores=[1]),
        damaged(objective="samri-bp"),
        damaged(objective=None),
        damaged(encoder=["0"]),
    ],
    ids=repr,
)
def test_damaged_headers_are_refused_by_the_files_name(header: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=r"knees\.safetensors"):
        DecoderCard.from_header(header, PATH)

"""What there is to train on, and the numbers that suit it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_samri.datasets import read_manifest, write_manifest
from napari_samri.errors import InputError
from napari_samri.work import (
    EmbedConfig,
    Facts,
    embed_bank,
    existing_bank,
    facts_of_bank,
    facts_of_manifest,
    suggested_numbers,
)
from tests.work.making import make_data

if TYPE_CHECKING:
    from pathlib import Path


def test_facts_of_banks(bank: Path, tmp_path: Path) -> None:
    facts = facts_of_bank(bank)
    assert (facts.people, facts.by_slices) == (2, False)
    assert facts.validation > 0
    assert facts_of_manifest(bank.parent / "data" / "made-up.json") == facts
    assert "of other patients to validate on" in facts.text
    with pytest.raises(InputError, match="not an embedding bank"):
        facts_of_bank(tmp_path)
    for path, text in ((None, "there is no bank yet"), (tmp_path / "x", "no such folder")):
        with pytest.raises(InputError, match=text):
            existing_bank(path)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    path = make_data(folder / "data", 3)
    found = read_manifest(path)
    splits = ("train", "train", "validation")
    studies = (replace(s, split=p) for s, p in zip(found.studies, splits, strict=True))
    write_manifest(path, replace(found, studies=tuple(studies)))
    out = folder / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=path, out=out, device="cpu")))
    return out


def test_numbers_of_small_data() -> None:
    facts = Facts(train=40, validation=0, people=1, by_slices=False)
    few = suggested_numbers(facts, few=True)
    many = suggested_numbers(facts, few=False)
    assert (few["batch"], few["quota"]) == (10, None)
    assert few["learning_rate"] > many["learning_rate"]
    assert few["patience"] > 0
    assert (few["rate_decay"], many["rate_decay"]) == (1, 1)
    assert suggested_numbers(facts, few=False, objective="simple")["rate_decay"] == 0.9


def test_one_volume_is_small_data() -> None:
    facts = Facts(train=553, validation=130, people=1, by_slices=True)
    assert facts.few
    numbers = suggested_numbers(facts, few=facts.few)
    assert numbers["batch"] * 10 < facts.train, "an epoch is many steps"
    assert numbers["learning_rate"] == 1e-4

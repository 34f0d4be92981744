"""What a bank says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_samri.embeddings.bank import Bank, PartPlan, create_bank, create_part
from napari_samri.embeddings.bank.info import bank_info
from tests.embeddings.bank.made_up import HEADER, digests, fill, make_part, manifest

if TYPE_CHECKING:
    from pathlib import Path


def test_all_of_a_bank(tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(90, name="knee"), missing={3})
    make_part(tmp_path, HEADER, manifest(10, name="knee", content="new"))
    part = create_part(tmp_path, PartPlan.of(HEADER, manifest(150, name="heart")))
    fill(part, shards=[2])
    info = bank_info(tmp_path)
    assert json.loads(json.dumps(info)) == info
    assert info["header"] == HEADER.as_dict()
    assert info["rows"] == 90
    assert info["replaced"] == 9
    with Bank(tmp_path) as bank:
        assert info["pairs"] == len(bank.pairs["row"])
    splits = {"train": 30, "validation": 20, "test": 20, "zero-shot": 20}
    assert info["rows_by"] == {"knee": splits}
    assert info["files"] == len([d for d in digests(tmp_path).values() if d != "empty"])
    assert info["bytes"] == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    states = [(p["rows"], p["missing"], p["sealed"], p["shards"]) for p in info["parts"]]
    assert states == [(90, 1, True, [2, 2]), (10, 0, True, [1, 1]), (150, 0, False, [1, 3])]


def test_an_empty_bank(tmp_path: Path) -> None:
    create_bank(tmp_path, HEADER)
    info = bank_info(tmp_path)
    assert (info["rows"], info["parts"], info["rows_by"], info["files"]) == (0, [], {}, 1)

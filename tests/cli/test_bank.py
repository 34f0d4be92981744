"""The verb `bank`: what it prints, and exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_samri.cli import main
from napari_samri.embeddings.bank import PartPlan, create_part
from tests.embeddings.bank.made_up import HEADER, INT8, fill, make_part, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import CaptureFixture  # noqa: PT013


def test_a_whole_bank(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    make_part(tmp_path / "bank", HEADER, manifest(70))
    assert main(["bank", "verify", str(tmp_path / "bank")]) == 0
    assert main(["bank", "verify", str(tmp_path / "bank"), "--quick"]) == 0
    assert "2 shards, 0 damaged files" in capsys.readouterr().err


def test_damage_is_listed_and_dropped(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(70))
    path = part.shard_path("emb", 1)
    path.write_bytes(path.read_bytes()[1:])
    assert main(["bank", "verify", str(tmp_path / "bank")]) == 3
    assert f"problem: {part.path.name}, shard 1, emb: torn" in capsys.readouterr().err
    assert main(["bank", "verify", str(tmp_path / "bank"), "--drop"]) == 3
    assert "took 1 shards away; 'napari-samri embed'" in capsys.readouterr().err
    fill(part, shards=part.missing_shards())
    part.seal()
    assert main(["bank", "verify", str(tmp_path / "bank")]) == 0


def test_info(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    bank = tmp_path / "bank"
    make_part(bank, INT8, manifest(70), missing={1})
    make_part(bank, INT8, manifest(10, content="new"))
    part = create_part(bank, PartPlan.of(INT8, manifest(10, name="heart")))
    assert main(["bank", "info", str(bank)]) == 0
    out = capsys.readouterr().out
    for text in (
        "3 x 4 x 4, int8",
        "70 with",
        "9 more are replaced by later ones",
        "knee: 20 train, 20 validation, 20 test, 10 zero-shot",
        "complete, 2 of 2 shards, 1 rows missing",
        f"{part.path.name}: NOT COMPLETE, 0 of 1 shards",
    ):
        assert text in out
    assert main(["bank", "info", str(bank), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 70


def test_merge(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    for name in ("knee", "heart"):
        make_part(tmp_path / name, HEADER, manifest(10, name=name))
    banks = [str(tmp_path / "knee"), str(tmp_path / "heart")]
    assert main(["bank", "merge", *banks, "--out", str(tmp_path / "both")]) == 0
    assert "2 parts, 20 rows" in capsys.readouterr().err
    assert main(["bank", "merge", *banks, "--out", str(tmp_path / "both")]) == 2
    assert "is there already" in capsys.readouterr().err
    create_part(tmp_path / "knee", PartPlan.of(HEADER, manifest(10, name="brain")))
    assert main(["bank", "merge", *banks, "--out", str(tmp_path / "more")]) == 3
    assert "problem: left out:" in capsys.readouterr().err


@pytest.mark.parametrize("action", [["verify"], ["info"], ["merge", "--out", "new"]])
def test_what_is_no_bank(action: list[str], tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    assert main(["bank", *action, str(tmp_path)]) == 2
    assert "not an embedding bank" in capsys.readouterr().err

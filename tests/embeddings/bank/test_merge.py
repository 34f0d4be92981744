"""Banks of one kind become one, whole or not at all."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.embeddings.bank import Bank, PartPlan, create_bank, create_part
from napari_samri.embeddings.bank.merge import merge_banks
from napari_samri.embeddings.bank.verify import verify_bank
from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.jobs.events import Finished, Problem, Stopped
from tests.embeddings.bank.made_up import HEADER, INT8, digests, embedding, make_part, manifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def banks(tmp_path: Path) -> list[Path]:
    """Return two banks that share the part of knees, of which the second lacks two rows."""
    first, second = tmp_path / "first.zarr", tmp_path / "second.zarr"
    make_part(first, HEADER, manifest(30, name="knee"), seed=1)
    make_part(second, HEADER, manifest(90, name="heart"), seed=2)
    make_part(second, HEADER, manifest(30, name="knee"), missing={4, 5}, seed=1)
    return [first, second]


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


@pytest.mark.parametrize("links", [True, False])
def test_two_banks(
    links: bool, banks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    before = [digests(bank) for bank in banks]
    out = tmp_path / "out.zarr"
    events = list(merge_banks(banks, out))
    assert isinstance(events[-1], Finished)
    assert [digests(bank) for bank in banks] == before
    with Bank(out) as bank:
        assert [part.path.name[:6] for part in bank.parts] == ["00001-", "00002-"]
        assert bank.datasets == ["heart", "knee"]
        assert len(bank) == 120
        assert np.array_equal(bank.embedding(94), embedding(HEADER, 4, 1))
        shared = bank.parts[1].shard_path("emb", 0).stat().st_nlink
        assert shared == (2 if links else 1)
    assert list(verify_bank(out))[-1].details == {"damaged": []}  # type: ignore[union-attr]
    assert not list(tmp_path.glob(".*"))


def test_taking_a_shard_away_leaves_the_other_bank_alone(banks: list[Path], tmp_path: Path) -> None:
    list(merge_banks(banks, tmp_path / "out.zarr"))
    before = [digests(bank) for bank in banks]
    with Bank(tmp_path / "out.zarr") as bank:
        bank.parts[0].reopen([0])
    assert [digests(bank) for bank in banks] == before


def test_later_banks_replace_rows_of_earlier_ones(tmp_path: Path) -> None:
    make_part(tmp_path / "old", HEADER, manifest(30), seed=1)
    make_part(tmp_path / "new", HEADER, manifest(30, content="new"), seed=2)
    for order, seed in ((("old", "new"), 2), (("new", "old"), 1)):
        out = tmp_path / "-".join(order)
        list(merge_banks([tmp_path / name for name in order], out))
        with Bank(out) as bank:
            assert len(bank) == 30
            assert np.array_equal(bank.embedding(0), embedding(HEADER, 0, seed))


def test_parts_that_are_not_complete_are_left_out_and_named(
    banks: list[Path], tmp_path: Path
) -> None:
    part = create_part(banks[0], PartPlan.of(HEADER, manifest(10, name="brain")))
    events = list(merge_banks(banks, tmp_path / "out.zarr"))
    assert [str(part.path) in e.text for e in events if isinstance(e, Problem)] == [True]
    with Bank(tmp_path / "out.zarr") as bank:
        assert len(bank.parts) == 2


@pytest.mark.parametrize(
    ("header", "error", "text"),
    [
        (INT8, InputError, "quantisation int8 instead of float16"),
        (replace(HEADER, encoder="f" * 64), ModelError, "first.zarr has the encoder eeeeeeee"),
        (replace(HEADER, preprocessing="v2"), ModelError, "v2"),
    ],
)
def test_banks_of_another_kind_are_refused_by_name(
    header: Any, error: type[Exception], text: str, banks: list[Path], tmp_path: Path
) -> None:
    create_bank(tmp_path / "third.zarr", header)
    with pytest.raises(error, match=text) as caught:
        list(merge_banks([*banks, tmp_path / "third.zarr"], tmp_path / "out.zarr"))
    assert "third.zarr" in str(caught.value)
    assert not (tmp_path / "out.zarr").exists()


def test_nothing_is_overwritten(banks: list[Path]) -> None:
    before = digests(banks[0])
    with pytest.raises(InputError, match="is there already"):
        list(merge_banks(banks, banks[0]))
    assert digests(banks[0]) == before


@pytest.mark.parametrize("steps", range(5))
def test_a_stop_leaves_nothing_behind(steps: int, banks: list[Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    asked = iter([False] * steps * 20 + [True] * 10**4)
    events = list(merge_banks(banks, tmp_path / "out.zarr", lambda: next(asked)))
    assert isinstance(events[-1], Stopped)
    assert sorted(tmp_path.iterdir()) == before
    work = merge_banks(banks, tmp_path / "out.zarr")
    next(work), next(work)
    work.close()
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_leaves_nothing_behind(
    banks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("shutil.copyfile", refuse)
    with pytest.raises(StoreError, match=r"out.zarr: cannot be written"):
        list(merge_banks(banks, tmp_path / "out.zarr"))
    assert sorted(tmp_path.iterdir()) == before

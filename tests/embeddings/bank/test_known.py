"""The banks that a user has made, as a store of features."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_samri.embeddings import EmbeddingCache
from napari_samri.embeddings.bank import Bank, KnownBanks, known, merge_banks, remember_bank
from napari_samri.jobs import state_dir
from tests.embeddings.bank.made_up import HEADER, INT8, embedding, key, make_part, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.embeddings import Features


def make_known(bank: Path, *, age: int = 0, seed: int = 0, rows: int = 70) -> Path:
    """Make a bank of so many rows, and remember it as one of so many seconds ago."""
    make_part(bank, HEADER, manifest(rows), seed=seed)
    before = set(notes())
    remember_bank(bank)
    (note,) = set(notes()) - before
    moment = note.stat().st_mtime - age
    os.utime(note, (moment, moment))
    return note


def notes() -> list[Path]:
    return list((state_dir() / "banks").glob("*"))


def assert_row(found: Features | None, row: int, seed: int = 0) -> None:
    assert found is not None
    assert list(found) == ["image"]
    assert found["image"].dtype == np.float32
    np.testing.assert_array_equal(found["image"], embedding(HEADER, row, seed))
    with pytest.raises(ValueError, match="read-only"):
        found["image"][0, 0, 0] = 0


def test_without_any_bank_nothing_is_found_or_made() -> None:
    assert KnownBanks().get(key(0)) is None
    assert not state_dir().exists()


def test_every_row_is_found_by_its_key(tmp_path: Path) -> None:
    banks = KnownBanks()
    assert banks.get(key(3)) is None
    make_known(tmp_path / "bank")
    for row in (0, 63, 64, 69):
        assert_row(banks.get(key(row)), row)
    assert banks.get(key(70)) is None
    with Bank(tmp_path / "bank") as bank:
        assert_row(bank.get(key(69)), 69)
        assert bank.get(key(70)) is None


def test_the_latest_bank_comes_first(tmp_path: Path) -> None:
    """Of two that have a key, and in spite of what was read before."""
    banks = KnownBanks()
    make_part(tmp_path / "new", HEADER, manifest(2))
    make_known(tmp_path / "old", age=100, rows=2)
    assert_row(banks.get(key(1)), 1)
    for path in (tmp_path / "new" / "parts").rglob("emb/c.*"):
        path.write_bytes(path.read_bytes()[:-1])
    remember_bank(tmp_path / "new")
    assert_row(banks.get(key(1)), 1)
    shutil.rmtree(tmp_path / "old")
    assert KnownBanks().get(key(1)) is None, "the new bank is damaged, the old one gone"


def test_what_is_added_to_a_bank_is_found_once_it_is_remembered_again(tmp_path: Path) -> None:
    banks = KnownBanks()
    make_known(tmp_path / "bank", age=100, rows=2)
    assert banks.get(key(1, seed=5)) is None
    make_part(tmp_path / "bank", HEADER, manifest(2, name="heart"), seed=5)
    remember_bank(tmp_path / "bank")
    assert_row(banks.get(key(1, seed=5)), 1, seed=5)
    assert_row(banks.get(key(1)), 1)
    assert len(notes()) == 1


@pytest.mark.parametrize("way", ["gone", "moved", "no bank", "note"])
def test_a_bank_that_cannot_be_used_is_passed_over(way: str, tmp_path: Path) -> None:
    make_known(tmp_path / "good", age=100)
    note = make_known(tmp_path / "bad", seed=1)
    if way == "gone":
        shutil.rmtree(tmp_path / "bad")
    elif way == "moved":
        (tmp_path / "bad").rename(tmp_path / "elsewhere")
    elif way == "no bank":
        (tmp_path / "bad" / "zarr.json").write_text("{}")
    else:
        note.write_bytes(b"\0nowhere")
    banks = KnownBanks()
    assert banks.get(key(1, seed=1)) is None
    assert_row(banks.get(key(1)), 1)


def test_damaged_keys_and_embeddings_are_not_found(tmp_path: Path) -> None:
    make_known(tmp_path / "bank", rows=130)
    (part,) = (tmp_path / "bank" / "parts").iterdir()
    for name in ("key/c.0.0", "emb/c.1.0.0.0"):
        content = bytearray((part / name).read_bytes())
        content[5] ^= 1
        (part / name).write_bytes(content)
    banks = KnownBanks()
    assert banks.get(key(0)) is None
    assert banks.get(key(64)) is None
    assert_row(banks.get(key(129)), 129)


def test_parts_that_are_not_complete_and_int8_are_not_found(tmp_path: Path) -> None:
    make_known(tmp_path / "bank")
    for path in (tmp_path / "bank").rglob("sealed.json"):
        path.unlink()
    make_part(tmp_path / "int8", INT8, manifest(2))
    remember_bank(tmp_path / "int8")
    assert KnownBanks().get(key(0)) is None


def test_only_so_many_banks_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_BANKS", 2)
    for number in range(3):
        make_known(tmp_path / str(number), age=100 - number, seed=number, rows=2)
    remember_bank(tmp_path / "2")
    banks = KnownBanks()
    assert banks.get(key(0)) is None
    assert_row(banks.get(key(0, seed=1)), 0, seed=1)
    assert_row(banks.get(key(0, seed=2)), 0, seed=2)


def test_a_merged_bank_is_remembered(tmp_path: Path) -> None:
    make_part(tmp_path / "one", HEADER, manifest(2))
    list(merge_banks([tmp_path / "one"], tmp_path / "both"))
    shutil.rmtree(tmp_path / "one")
    assert_row(KnownBanks().get(key(1)), 1)


def test_where_nothing_can_be_remembered_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_SAMRI_STATE", str(tmp_path / "file"))
    make_part(tmp_path / "bank", HEADER, manifest(2))
    remember_bank(tmp_path / "bank")
    assert KnownBanks().get(key(0)) is None


def test_a_cache_asks_them_last_and_keeps_the_answer_in_memory(tmp_path: Path) -> None:
    make_known(tmp_path / "bank", rows=2)
    cache = EmbeddingCache(tmp_path / "cache", banks=KnownBanks())
    own = {"image": np.ones((3, 4, 4), np.float32)}
    cache.put(key(0), own)
    assert cache.get(key(0)) is own
    found = cache.get(key(1))
    assert_row(found, 1)
    assert cache.memory.get(key(1)) is found
    assert cache.disk is not None
    assert cache.disk.get(key(1)) is None

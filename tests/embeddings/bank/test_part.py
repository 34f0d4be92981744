"""Parts: the same bytes whoever fills them, and nothing half-made that counts."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.embeddings.bank import (
    Bank,
    BankHeader,
    Part,
    PartPlan,
    create_bank,
    create_part,
    parts_of,
    read_header,
)
from napari_samri.embeddings.bank.files import read_index
from napari_samri.embeddings.bank.part import open_part
from napari_samri.errors import InputError, StoreError
from tests.embeddings.bank.made_up import (
    HEADER,
    INT8,
    content,
    digests,
    fill,
    make_part,
    manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 150
MISSING = {3, 17, *range(64, 128)}
both = pytest.mark.parametrize("header", [HEADER, INT8], ids=["float16", "int8"])


def empty_part(bank: Path, header: BankHeader = HEADER, rows: int = ROWS) -> Part:
    create_bank(bank, header)
    return create_part(bank, PartPlan.of(header, manifest(rows)))


@both
@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(3)), twice=st.booleans())
def test_the_order_of_shards_leaves_no_trace(
    header: BankHeader, order: list[int], twice: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("banks")
    make_part(folder / "a", header, manifest(ROWS), missing=MISSING)
    part = empty_part(folder / "b", header)
    fill(part, missing=MISSING, shards=[*order, *order] if twice else order)
    part.seal()
    assert digests(folder / "b") == digests(folder / "a")


def fill_and_seal(bank: Path, header: BankHeader, order: list[int]) -> None:
    part = empty_part(bank, header)
    fill(part, missing=MISSING, shards=order)
    if not part.missing_shards():
        part.seal()


@both
def test_two_processes_at_once_leave_no_trace(header: BankHeader, tmp_path: Path) -> None:
    make_part(tmp_path / "alone", header, manifest(ROWS), missing=MISSING)
    expected = digests(tmp_path / "alone")
    orders = [[0, 1, 2], [0, 1, 2], [2, 1, 0]]
    with get_context("spawn").Pool(3) as pool:
        for number in range(6):
            bank = tmp_path / str(number)
            pool.starmap(fill_and_seal, [(bank, header, order) for order in orders], chunksize=1)
            assert digests(bank) == expected


def test_a_part_is_there_as_soon_as_its_embeddings_are(tmp_path: Path) -> None:
    part = empty_part(tmp_path / "bank")
    assert part.missing_shards() == [0, 1, 2]
    fill(part, shards=[1])
    assert part.missing_shards() == [0, 2]
    part.shard_path("emb", 1).unlink()
    assert not part.is_committed(1)


def test_a_part_with_missing_shards_is_not_sealed(tmp_path: Path) -> None:
    part = empty_part(tmp_path / "bank")
    fill(part, shards=[0, 2])
    with pytest.raises(StoreError, match="shard 1 is missing"):
        part.seal()
    assert not part.sealed


def test_missing_rows_are_named_and_have_no_labels(tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(ROWS), missing=MISSING)
    assert part.missing_rows() == sorted(MISSING)
    with Bank(tmp_path / "bank") as bank:
        assert set(range(ROWS)) - set(bank.rows["part_row"].tolist()) == MISSING
        assert len(bank.pairs["row"]) == len(part.plan.pair_table(MISSING)["row"])


def test_a_sealed_part_stays_as_it_is(tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(ROWS), missing=MISSING)
    before = digests(tmp_path)
    fill(part, seed=1)
    part.seal()
    assert digests(tmp_path) == before


def test_what_a_killed_process_left_goes_with_the_sealing(tmp_path: Path) -> None:
    whole = make_part(tmp_path / "whole", HEADER, manifest(ROWS))
    part = empty_part(tmp_path / "bank")
    (part.scratch / "rows").mkdir(parents=True)
    (part.scratch / "rows" / "kept").write_bytes(b"1")
    (tmp_path / "bank" / f".making-{part.plan.id}-0123" / "emb").mkdir(parents=True)
    fill(part)
    part.seal()
    assert digests(tmp_path / "bank") == digests(tmp_path / "whole")
    whole.scratch.mkdir()  # killed between the mark and the tidying
    whole.seal()
    assert digests(tmp_path / "bank") == digests(tmp_path / "whole")


def test_a_part_sealed_by_another_process_in_the_meantime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_part(tmp_path / "whole", HEADER, manifest(ROWS))
    part = empty_part(tmp_path / "bank")
    other = open_part(part.path, HEADER)
    fill(other)
    monkeypatch.setattr("napari_samri.embeddings.bank.part.stage_shard", sealing(other))
    fill(part, shards=[1])
    assert digests(tmp_path / "bank") == digests(tmp_path / "whole")


def sealing(other: Part) -> Callable[..., object]:
    from napari_samri.embeddings.bank.part import stage_shard

    def stage(*arguments: object) -> object:
        other.seal()
        return stage_shard(*arguments)

    return stage


def test_the_same_plan_is_the_same_part(tmp_path: Path) -> None:
    part = empty_part(tmp_path / "bank")
    assert empty_part(tmp_path / "bank").path == part.path
    moved = replace(manifest(ROWS).datasets[0], root="/elsewhere")
    plan = PartPlan.of(HEADER, replace(manifest(ROWS), datasets=(moved,)))
    assert create_part(tmp_path / "bank", plan).path == part.path
    other = create_part(tmp_path / "bank", PartPlan.of(HEADER, manifest(ROWS, content="new")))
    assert [p.path for p in parts_of(tmp_path / "bank")] == [part.path, other.path]


def test_a_part_that_another_process_makes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tmp_path / "bank"
    part = empty_part(bank)
    listing = iter([[], []])
    monkeypatch.setattr("napari_samri.embeddings.bank.part.part_folders", lambda *_: next(listing))
    assert create_part(bank, part.plan).path == part.path
    assert {path.name for path in bank.iterdir()} == {"zarr.json", "parts"}


@pytest.mark.parametrize("change", [b" ", b"", b"0"])
def test_an_altered_plan_is_refused(change: bytes, tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(ROWS))
    plan = (part.path / "plan.json").read_bytes()
    altered = plan.replace(b'"train"', b'"test"') if change == b"0" else plan[:-1] + change
    (part.path / "plan.json").write_bytes(altered)
    for read in (parts_of, Bank):
        with pytest.raises(InputError, match="was altered"):
            read(tmp_path / "bank")


def test_a_plan_of_another_bank_is_refused(tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(ROWS))
    create_bank(tmp_path / "other", INT8)
    shutil.copytree(part.path.parent, tmp_path / "other" / "parts")
    with pytest.raises(InputError, match="was altered"):
        Bank(tmp_path / "other")


def test_a_damaged_mark_is_refused(tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(ROWS))
    (part.path / "sealed.json").write_text("{}")
    with pytest.raises(InputError, match="drop what is damaged"):
        Bank(tmp_path / "bank")


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@both
@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.7, 0.9, 0.99])
def test_a_full_disk_leaves_a_part_that_goes_on(
    header: BankHeader, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    allowed = 10**9
    sync = os.fsync

    def sync_or_fail(descriptor: int) -> None:
        calls.append(descriptor)
        sync(descriptor) if len(calls) <= allowed else full_disk()

    def make(name: str) -> None:
        make_part(tmp_path / name, header, manifest(ROWS), missing=MISSING)

    monkeypatch.setattr(os, "fsync", sync_or_fail)
    make("whole")
    allowed = int(share * len(calls))
    calls.clear()
    with pytest.raises(StoreError, match="No space left"):
        make("bank")
    allowed = 10**9
    make("bank")
    assert digests(tmp_path / "bank") == digests(tmp_path / "whole")


@pytest.mark.parametrize("name", ["replace", "rename", "mkdir"])
def test_a_disk_that_refuses_names_and_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = empty_part(tmp_path / "bank")
    with monkeypatch.context() as patch:
        patch.setattr(Path, name, full_disk)
        with pytest.raises(StoreError, match="No space left"):
            make_part(tmp_path / "bank", HEADER, manifest(ROWS))
    assert not part.sealed
    make_part(tmp_path / "bank", HEADER, manifest(ROWS))
    make_part(tmp_path / "whole", HEADER, manifest(ROWS))
    assert digests(tmp_path / "bank") == digests(tmp_path / "whole")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    part = empty_part(tmp_path / "bank")
    part.path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        fill(part)
    part.path.chmod(0o700)


def test_damaged_shards_are_taken_away_and_done_again(tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", INT8, manifest(ROWS), missing=MISSING)
    before = digests(tmp_path)
    path = part.shard_path("emb", 0)
    path.write_bytes(path.read_bytes()[:-7])
    assert part.missing_shards() == [0]
    part.reopen([0])
    assert not part.sealed
    assert part.missing_shards() == [0]
    fill(part, missing=MISSING, shards=[0])
    part.seal()
    assert digests(tmp_path) == before


def test_plans_count_rows_and_shards() -> None:
    plan = PartPlan.of(HEADER, manifest(ROWS))
    assert (plan.rows, plan.shards, len(plan.id)) == (ROWS, 3, 32)
    assert [len(plan.rows_of(shard)) for shard in range(3)] == [64, 64, 22]
    places = [plan.slice_of(row) for row in range(ROWS)]
    assert [s.slices.index(e) for s, e in places] == [row % 20 for row in range(ROWS)]
    table = plan.row_table()
    assert [plan.manifest.studies[v].image for v in table["volume"]] == [s.image for s, _ in places]
    assert {len(column) for column in table.values()} == {ROWS}
    pairs = plan.pair_table()
    regions = [region for _, entry in places for region in entry.regions]
    assert pairs["label"].tolist() == [region.label for region in regions]
    assert pairs["area"] == pytest.approx([region.pixels / 2000 for region in regions])
    assert pairs["box_xyxy"].tolist() == [list(region.box_xyxy) for region in regions]


@pytest.mark.parametrize(("label", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_large_labels(label: int, dtype: type, tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(10, label=label))
    with Bank(tmp_path) as bank:
        assert bank.labels(1).dtype == dtype
        assert bank.labels(1).max() == label


@pytest.mark.parametrize("change", [{"labels": None}, {"features": {}}])
def test_a_row_that_lacks_something_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    part = empty_part(tmp_path / "bank")
    with pytest.raises(StoreError, match="expected image and labels"):
        part.write_shard(0, {0: replace(content(part.plan, 0), **change)})
    assert part.missing_shards() == [0, 1, 2]


def test_shards_hold_only_whole_rows(tmp_path: Path) -> None:
    part = make_part(tmp_path / "bank", HEADER, manifest(ROWS), missing=MISSING)
    for name in ("labels", "thumb", "emb"):
        index = read_index(part.shard_path(name, 1), 64)
        assert index is not None
        assert (index == np.iinfo(np.uint64).max).all()
    assert read_header(tmp_path / "bank") == HEADER

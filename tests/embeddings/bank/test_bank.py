"""The bank's own reader, against zarr-python and under load."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.embeddings.bank import (
    Bank,
    BankHeader,
    PartPlan,
    create_bank,
    create_part,
    open_part,
    read_header,
    reading,
    verify_bank,
)
from napari_samri.embeddings.bank.arrays import from_int8, to_int8
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs.events import Problem
from tests.embeddings.bank.made_up import (
    HEADER,
    INT8,
    content,
    embedding,
    fill,
    make_part,
    manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

both = pytest.mark.parametrize("header", [HEADER, INT8], ids=["float16", "int8"])


def assert_equals_zarr(bank: Bank, header: BankHeader) -> None:
    """Compare every row of a bank, and its absent rows, with what zarr reads."""
    for number, part in enumerate(bank.parts):
        names = ["emb", "labels", "thumb", "scale" if header == INT8 else "key"]
        arrays = {name: zarr.open_array(part.path / name, mode="r")[...] for name in names}
        rows = np.flatnonzero(bank.rows["part"] == number)
        places = bank.rows["part_row"][rows]
        for row, place in zip(rows, places, strict=True):
            stored, scale = bank.stored(row)
            found: dict[str, Any] = {"emb": stored, "labels": bank.labels(row)}
            found["thumb"] = bank.thumb(row)
            if header == INT8:
                found["scale"] = scale
            else:
                found["key"] = np.frombuffer(bytes.fromhex(bank.key(row)), np.uint8)
            for name, values in found.items():
                assert values.dtype == arrays[name].dtype
                assert np.array_equal(values, arrays[name][place]), (name, row)
        for array in arrays.values():
            assert not array[part.missing_rows()].any()


@both
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_reader_equals_zarr(
    header: BankHeader, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bank")
    sizes = data.draw(st.lists(st.integers(1, 140), min_size=1, max_size=3))
    for number, rows in enumerate(sizes):
        missing = data.draw(st.sets(st.integers(0, rows - 1), max_size=5))
        if data.draw(st.booleans()):
            missing |= set(range(min(rows, 64)))
        label = data.draw(st.sampled_from([1, 255, 256, 65535]))
        slices = manifest(rows, name=f"set{number}", label=label)
        make_part(path, header, slices, missing=missing, seed=number)
    with Bank(path) as bank:
        assert_equals_zarr(bank, header)


@both
def test_embeddings_labels_and_thumbnails_come_back(header: BankHeader, tmp_path: Path) -> None:
    part = make_part(tmp_path, header, manifest(70), missing={5})
    with Bank(tmp_path) as bank:
        assert len(bank) == 69
        for row in range(69):
            place = int(bank.rows["part_row"][row])
            half = embedding(header, place)
            expected = half if header == HEADER else from_int8(*to_int8(half))
            assert np.array_equal(bank.embedding(row), expected.astype(np.float32))
            drawn = content(part.plan, place)
            assert np.array_equal(bank.labels(row), drawn.labels)
            assert np.array_equal(bank.thumb(row), drawn.thumb)
            assert bank.key(row) == (drawn.key if header == HEADER else None)
            assert bank.slice_of(row) == part.plan.slice_of(place)


def test_columns_describe_the_rows(tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(30, name="knee"), missing={0})
    make_part(tmp_path, HEADER, manifest(50, name="heart"))
    with Bank(tmp_path) as bank:
        assert bank.datasets == ["knee", "heart"]
        for row in range(len(bank)):
            study, entry = bank.slice_of(row)
            column = {name: values[row] for name, values in bank.rows.items()}
            assert bank.datasets[column["dataset"]] == study.dataset
            assert bank.patients[column["patient"]] == study.patient
            assert bank.studies[column["volume"]] == study
            assert (column["axis"], column["slice"]) == (study.axis, entry.index)
            assert tuple(column["slice_shape"]) == study.slice_shape
            assert tuple(column["spacing_mm"]) == study.pixel_spacing_mm
        labels = [(row, r.label) for row in range(len(bank)) for r in bank.slice_of(row)[1].regions]
        found = zip(bank.pairs["row"].tolist(), bank.pairs["label"].tolist(), strict=True)
        assert list(found) == labels


def test_a_later_part_replaces_rows_from_the_same_place(tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(30), seed=1)
    make_part(tmp_path, HEADER, manifest(10, content="changed"), missing={4}, seed=2)
    with Bank(tmp_path) as bank:
        assert len(bank) == 30
        places = {bank.slice_of(row)[1].index + 20 * (row // 30) for row in range(30)}
        assert len(places) == 20
        for row in range(30):
            part, place = int(bank.rows["part"][row]), int(bank.rows["part_row"][row])
            assert part == (1 if place < 10 and place != 4 else 0)
            assert np.array_equal(bank.embedding(row), embedding(HEADER, place, part + 1))


def test_only_sealed_parts_are_seen(tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(30))
    part = create_part(tmp_path, PartPlan.of(HEADER, manifest(100, name="heart")))
    fill(part, shards=[0])
    with Bank(tmp_path) as before:
        fill(part, shards=[1])
        assert len(before) == 30
        part.seal()
        assert len(before) == 30
        assert before.embedding(29).any()
    with Bank(tmp_path) as after:
        assert len(after) == 130


@both
def test_an_empty_bank(header: BankHeader, tmp_path: Path) -> None:
    create_bank(tmp_path, header)
    with Bank(tmp_path) as bank:
        assert len(bank) == 0
        assert bank.rows["slice_shape"].shape == (0, 2)
        assert bank.pairs["box_xyxy"].shape == (0, 4)
        values, _ = bank.stored_batch([])
        assert values.shape == (0, 3, 4, 4)


@pytest.mark.parametrize("row", [-1, 30, 10**9])
def test_rows_that_are_not_there(row: int, tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(30))
    with Bank(tmp_path) as bank, pytest.raises(InputError, match="expected 0 to 29"):
        bank.embedding(row)


@both
def test_batches_equal_single_rows(header: BankHeader, tmp_path: Path) -> None:
    make_part(tmp_path, header, manifest(150))
    rows = [149, 0, 3, 3, 77]
    with Bank(tmp_path) as bank:
        values, scales = bank.stored_batch(rows)
        singles = [bank.stored(row) for row in rows]
        assert np.array_equal(values, np.stack([value for value, _ in singles]))
        if header == INT8:
            assert np.array_equal(scales, np.stack([scale for _, scale in singles]))
        else:
            assert scales is None


@both
def test_many_threads_and_few_open_files(
    header: BankHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "OPEN_FILES", 2)
    make_part(tmp_path, header, manifest(400))
    expected = [embedding(header, row) for row in range(400)]
    if header == INT8:
        expected = [to_int8(half)[0] for half in expected]
    orders = [np.random.default_rng(k).permutation(400).tolist() for k in range(6)]
    with warnings.catch_warnings(), Bank(tmp_path) as bank, ThreadPoolExecutor(6) as pool:
        warnings.simplefilter("error", ResourceWarning)
        for order, (values, _) in zip(orders, pool.map(bank.stored_batch, orders), strict=True):
            assert np.array_equal(values, np.stack([expected[row] for row in order]))
        assert len(bank._files._files) <= 2


def test_more_shards_than_a_process_may_open(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    make_part(tmp_path, HEADER, manifest(64 * 140))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        with Bank(tmp_path) as bank:
            for row in range(0, len(bank), 64):
                assert np.array_equal(bank.stored(row)[0], embedding(HEADER, row))
                assert bank.labels(row).shape == bank.thumb(row).shape == (16, 16)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("place", [0, 700, -1])
def test_damage_is_noticed_on_reading(place: int, tmp_path: Path) -> None:
    part = make_part(tmp_path, HEADER, manifest(10))
    path = part.shard_path("emb", 0)
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    with Bank(tmp_path) as bank, pytest.raises(StoreError, match=r"damaged|torn"):
        bank.stored_batch(range(10))


@pytest.mark.parametrize("name", ["emb", "labels", "thumb", "scale"])
@pytest.mark.parametrize("way", ["missing", "cut"])
def test_missing_files_are_noticed_on_reading(name: str, way: str, tmp_path: Path) -> None:
    part = make_part(tmp_path, INT8, manifest(10))
    path = part.shard_path(name, 0)
    if way == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    read = {"labels": Bank.labels, "thumb": Bank.thumb}.get(name, Bank.stored)
    with Bank(tmp_path) as bank, pytest.raises(StoreError, match=r"cannot be read|torn|damaged"):
        read(bank, 0)


def test_a_bank_travels_to_another_process_as_its_path(tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(10))
    with Bank(tmp_path) as bank, pickle.loads(pickle.dumps(bank)) as copy:  # noqa: S301
        bank.stored_batch([0])
        assert np.array_equal(copy.stored(3)[0], bank.stored(3)[0])


def test_a_closed_bank_opens_its_files_again(tmp_path: Path) -> None:
    make_part(tmp_path, HEADER, manifest(10))
    bank = Bank(tmp_path)
    first = bank.stored_batch([1])[0]
    bank.close()
    assert np.array_equal(bank.stored_batch([1])[0], first)
    bank.close()


def test_the_fingerprint_tells_rows_apart(tmp_path: Path) -> None:
    kinds = {"whole": {}, "gap": {"missing": {3}}, "other": {"content": "new"}}
    seen = set()
    for name, kind in kinds.items():
        slices = manifest(10, content=kind.get("content", ""))
        for copy in ("a", "b"):
            make_part(tmp_path / f"{name}-{copy}", HEADER, slices, missing=kind.get("missing", ()))
            with Bank(tmp_path / f"{name}-{copy}") as bank:
                seen.add(bank.fingerprint)
    assert len(seen) == 3


LEVELS = replace(HEADER, features={"image": (3, 4, 4), "high.2": (2, 8, 8), "high.4": (1, 16, 16)})


@pytest.mark.parametrize("quantisation", ["float16", "int8"])
def test_several_features(quantisation: str, tmp_path: Path) -> None:
    """As encoders with levels of several sizes have them."""
    header = replace(LEVELS, quantisation=quantisation)
    create_bank(tmp_path, header)
    assert read_header(tmp_path) == header
    part = create_part(tmp_path, PartPlan.of(header, manifest(70)))
    rng = np.random.default_rng(0)
    rows = {
        row: replace(content(part.plan, row), features=halves)
        for row in range(70)
        for halves in [
            {n: rng.normal(size=s).astype(np.float16) for n, s in header.features.items()}
        ]
    }
    for shard in range(2):
        part.write_shard(shard, {row: rows[row] for row in part.plan.rows_of(shard)})
        assert part.missing_shards() == [*range(shard + 1, 2)]
    part.seal()
    assert not [event for event in verify_bank(tmp_path) if isinstance(event, Problem)]
    with Bank(tmp_path) as bank:
        for row in (0, 69):
            for name, half in rows[row].features.items():
                expected = from_int8(*to_int8(half)) if header.is_int8 else half
                np.testing.assert_array_equal(bank.features(row)[name], expected)
        values, _ = bank.stored_batch([3, 69], "high.2")
        assert np.array_equal(values[1], bank.stored(69, "high.2")[0])
        array = zarr.open_array(part.path / "emb.high.2", mode="r")
        assert np.array_equal(array[69], values[1])


def test_slices_without_labels(tmp_path: Path) -> None:
    """They have no labels in the arrays, none among the pairs, and none to look at."""
    slices = manifest(10)
    plain = replace(slices.studies[0].slices[4], labels_hash="", regions=())
    entries = (*slices.studies[0].slices[:4], plain, *slices.studies[0].slices[5:])
    slices = replace(slices, studies=(replace(slices.studies[0], slices=entries),))
    make_part(tmp_path, HEADER, slices)
    assert not [event for event in verify_bank(tmp_path) if isinstance(event, Problem)]
    with Bank(tmp_path) as bank:
        assert len(bank) == 10
        assert set(bank.pairs["row"].tolist()) == {*range(10)} - {4}
        assert bank.labels(3).any()
        assert not bank.labels(4).any()
        assert bank.labels(4).shape == (16, 16)
        assert np.array_equal(bank.embedding(4), embedding(HEADER, 4))
        labels = zarr.open_array(bank.parts[0].path / "labels", mode="r")
        assert not labels[4].any()
    part = open_part(bank.parts[0].path, HEADER)
    part.reopen([0])
    with pytest.raises(StoreError, match="expected image and no labels"):
        part.write_shard(0, {4: replace(content(part.plan, 4), labels=np.ones((16, 16), int))})

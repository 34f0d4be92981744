"""Shards written and read without zarr, against zarr-python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.embeddings.bank.arrays import create_arrays, row_arrays, shard_key
from napari_samri.embeddings.bank.files import ShardFile, present, read_index, write_shard
from napari_samri.errors import StoreError
from tests.embeddings.bank.made_up import HEADER, INT8, embedding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROWS = 4
CHUNKS = st.lists(st.none() | st.binary(min_size=1, max_size=40), max_size=ROWS)


def chunks_of(path: Path) -> list[bytes | None]:
    index = read_index(path, ROWS)
    assert index is not None
    file = ShardFile(path, index)
    found = [file.chunk(place) for place in range(ROWS)]
    file.close()
    return [None if body is None else bytes(body) for body in found]


@given(chunks=CHUNKS)
def test_what_is_written_is_read(
    chunks: Sequence[bytes | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shard") / "c"
    write_shard(path, chunks, ROWS)
    assert chunks_of(path) == [*chunks, *[None] * (ROWS - len(chunks))]


@pytest.mark.parametrize("header", [HEADER, INT8], ids=["float16", "int8"])
def test_zarr_writes_the_same_bytes(header, tmp_path: Path) -> None:
    create_arrays(tmp_path, header, 64, 3)
    emb = row_arrays(header, 3)["emb"]
    values = np.stack([embedding(HEADER, row).astype(emb.dtype) for row in range(64)])
    values[5] = 0
    zarr.open_array(tmp_path / "emb", mode="r+")[:] = values
    write_shard(tmp_path / "own", (emb.pack(v) if v.any() else None for v in values), 64)
    assert (tmp_path / "own").read_bytes() == (tmp_path / shard_key("emb", 0)).read_bytes()


@settings(max_examples=200)
@given(data=st.data())
def test_a_shard_cut_anywhere_is_torn(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shard") / "c"
    write_shard(path, data.draw(CHUNKS), ROWS)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert read_index(path, ROWS) is None


@settings(max_examples=200)
@given(data=st.data())
def test_every_flipped_bit_is_noticed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shard") / "c"
    write_shard(path, data.draw(CHUNKS), ROWS)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    if read_index(path, ROWS) is not None:
        with pytest.raises(StoreError, match="damaged"):
            chunks_of(path)


def test_bytes_behind_a_shard_are_noticed(tmp_path: Path) -> None:
    write_shard(tmp_path / "c", [b"abc"], ROWS)
    with (tmp_path / "c").open("ab") as file:
        file.write(b"\0")
    assert read_index(tmp_path / "c", ROWS) is None


def test_a_missing_shard_is_no_error_and_an_unreadable_one_is(tmp_path: Path) -> None:
    assert read_index(tmp_path / "c", ROWS) is None
    with pytest.raises(StoreError, match="cannot be read"):
        read_index(tmp_path, ROWS)


def test_a_shard_without_chunks(tmp_path: Path) -> None:
    write_shard(tmp_path / "c", [], ROWS)
    index = read_index(tmp_path / "c", ROWS)
    assert index is not None
    assert not present(index).any()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("labels", np.full((16, 16), 256, np.uint16)),
        ("thumb", np.zeros((16, 15), np.uint8)),
        ("emb", np.zeros((3, 4, 5), np.float16)),
    ],
)
def test_rows_that_do_not_fit_are_refused(name: str, row) -> None:
    with pytest.raises(StoreError, match=f"a row of '{name}' has the shape"):
        row_arrays(HEADER, 255)[name].pack(row)

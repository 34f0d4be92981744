"""Banks of one kind only, and of this version."""

from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from napari_samri.embeddings.bank import BankHeader, create_bank, is_bank, read_header
from napari_samri.errors import InputError, ModelError, StoreError
from tests.embeddings.bank.made_up import HEADER, INT8, digests

if TYPE_CHECKING:
    from pathlib import Path


def alter(bank: Path, **values: Any) -> None:
    content = json.loads((bank / "zarr.json").read_text())
    content["attributes"]["napari_samri"].update(values)
    (bank / "zarr.json").write_text(json.dumps(content))


def test_a_header_comes_back(tmp_path: Path) -> None:
    bank = tmp_path / "deep" / "bank.zarr"
    create_bank(bank, INT8)
    assert read_header(bank) == INT8
    before = digests(tmp_path)
    create_bank(bank, INT8)
    assert digests(tmp_path) == before
    assert [path.name for path in bank.parent.iterdir()] == ["bank.zarr"]


def test_an_empty_folder_becomes_a_bank(tmp_path: Path) -> None:
    create_bank(tmp_path, HEADER)
    assert is_bank(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"encoder": "f" * 64}, ModelError, "tiny encoder eeeeeeee .* has the encoder ffffffff"),
        ({"preprocessing": "other.v2"}, ModelError, "none.v1.*other.v2"),
        ({"quantisation": "int8"}, InputError, "quantisation float16 instead of int8"),
        ({"low_res_size": 8}, InputError, "low_res_size 16 instead of 8"),
    ],
)
def test_another_kind_is_refused_by_name(
    change: dict[str, Any], error: type[Exception], text: str, tmp_path: Path
) -> None:
    create_bank(tmp_path / "bank", HEADER)
    before = digests(tmp_path)
    with pytest.raises(error, match=text):
        create_bank(tmp_path / "bank", replace(HEADER, **change))
    assert digests(tmp_path) == before


def test_a_model_of_another_encoder_is_refused_by_name(tmp_path: Path) -> None:
    HEADER.check_model(HEADER.encoder, HEADER.preprocessing, "SAMRI", tmp_path)
    with pytest.raises(ModelError, match="SAMRI has the encoder 12345678"):
        HEADER.check_model("12345678" * 8, HEADER.preprocessing, "SAMRI", tmp_path)


@pytest.mark.parametrize("version", [0, 4, "1", None])
def test_other_versions_are_refused(version: Any, tmp_path: Path) -> None:
    create_bank(tmp_path, HEADER)
    alter(tmp_path, version=version)
    with pytest.raises(InputError, match="a bank of version"):
        read_header(tmp_path)
    assert is_bank(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"features": {"image": [3, 4]}},
        {"features": {"image": "x"}},
        {"features": {}},
        {"features": {"../image": [3, 4, 4]}},
        {"embedding_shape": [3, 4, 4]},
        {"colour": "red"},
        {"quantisation": 4},
        {"reduction": "area"},
        {"features": {"image": [1 << 12, 1 << 12, 1 << 12]}},
        {"features": {"image": [3, 4, 0]}},
        {"low_res_size": 1 << 40},
        {"input_size": "64"},
        {"encoder": "a\nb"},
        {"turn": True},
    ],
)
def test_damaged_headers_are_refused(values: dict[str, Any], tmp_path: Path) -> None:
    create_bank(tmp_path, HEADER)
    alter(tmp_path, **values)
    with pytest.raises(InputError, match=r"quantisation|reduction|damaged bank"):
        read_header(tmp_path)


@pytest.mark.parametrize("content", ["[" * 5000, "[]", '{"attributes": 3}', "\ud800", "1e999", ""])
def test_hostile_documents_are_no_banks(content: str, tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert not is_bank(tmp_path)
    with pytest.raises(InputError, match="not an embedding bank"):
        read_header(tmp_path)


def test_what_is_no_bank(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "zarr.json").write_text('{"attributes": {}}')
    for path in (tmp_path, tmp_path / "missing", tmp_path / "notes.txt", tmp_path / "other"):
        assert not is_bank(path)
        with pytest.raises(InputError, match="not an embedding bank"):
            read_header(path)
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "other"):
        with pytest.raises(InputError, match="not an embedding bank"):
            create_bank(path, HEADER)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        create_bank(tmp_path / "file" / "bank", HEADER)


def test_an_unknown_quantisation() -> None:
    with pytest.raises(InputError, match="expected one of float16, int8"):
        replace(HEADER, quantisation="int4")


def create(bank: Path, header: BankHeader) -> str:
    create_bank(bank, header)
    return read_header(bank).encoder


def test_processes_that_create_one_bank_at_once_agree(tmp_path: Path) -> None:
    with get_context("spawn").Pool(3) as pool:
        for number in range(10):
            bank = tmp_path / f"{number}.zarr"
            assert pool.starmap(create, [(bank, HEADER)] * 6, chunksize=1) == [HEADER.encoder] * 6
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.parametrize("version", [1, 2])
def test_a_bank_of_before_opens_as_it_was(version: int, tmp_path: Path) -> None:
    older = replace(HEADER, version=version)
    create_bank(tmp_path / "bank", older)
    assert read_header(tmp_path / "bank") == older
    with pytest.raises(InputError, match=rf"version {version} instead of 3"):
        create_bank(tmp_path / "bank", HEADER)

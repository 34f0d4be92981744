"""Banks that earlier versions have made: `earlier-banks.zip` is as they wrote it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from napari_samri.embeddings.bank import (
    Bank,
    KnownBanks,
    PartPlan,
    create_part,
    read_header,
    remember_bank,
    verify_bank,
)
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs.events import Problem
from tests.embeddings.bank.made_up import content, digests, fill, key, manifest

ROWS = 4
FINGERPRINTS = {
    "v1-float16.zarr": "5044b62d333363536f426de5ed55cdf9",
    "v2-int8.zarr": "7a98294142771d7b444b90b276f164e0",
}
every = pytest.mark.parametrize("name", FINGERPRINTS)


@pytest.fixture
def banks(tmp_path: Path) -> Path:
    """Return a folder with a bank of version 1, and one of version 2."""
    with zipfile.ZipFile(Path(__file__).with_name("earlier-banks.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def written(row: int) -> np.ndarray:
    """Return the embedding that a row was given: a constant per channel, and a block."""
    values = np.empty((96, 64, 64), np.float16)
    values[:] = (np.arange(96) % 7 - 3)[:, None, None] / 4
    values[row::4, 20:44, 16:36] += 1
    return values


@every
def test_it_opens_with_all_that_is_in_it(name: str, banks: Path) -> None:
    with Bank(banks / name) as bank:
        assert bank.fingerprint == FINGERPRINTS[name]
        assert bank.header.reduction == ("majority" if "v1" in name else "area")
        assert (bank.pairs["row"] == np.arange(ROWS)).all()
        assert (bank.pairs["box_xyxy"] == [16, 20, 35, 43]).all()
        for row in range(ROWS):
            tolerance = 0 if "float16" in name else 2 / 127
            np.testing.assert_allclose(bank.embedding(row), written(row), atol=tolerance)
            assert bank.labels(row).sum() == 96 * 80
            assert bank.thumb(row).max() == 100


@every
def test_it_is_whole(name: str, banks: Path) -> None:
    before = digests(banks)
    assert [event for event in verify_bank(banks / name) if isinstance(event, Problem)] == []
    assert digests(banks) == before


@every
def test_it_is_not_warm(name: str, banks: Path) -> None:
    remember_bank(banks / name)
    with Bank(banks / name) as bank:
        assert bank.key(0) is None
        assert bank.get(key(0)) is None
    assert KnownBanks().get(key(0)) is None


@every
def test_what_is_added_is_of_its_version(name: str, banks: Path) -> None:
    header = read_header(banks / name)
    part = create_part(banks / name, PartPlan.of(header, manifest(3)))
    fill(part)
    part.seal()
    assert not (part.path / "key").exists()
    with Bank(banks / name) as bank:
        assert len(bank) == ROWS + 3
        assert np.array_equal(bank.thumb(ROWS + 1), content(part.plan, 1).thumb)
    assert [event for event in verify_bank(banks / name) if isinstance(event, Problem)] == []


def test_features_of_other_names_need_a_new_bank(banks: Path) -> None:
    from dataclasses import replace

    header = read_header(banks / "v1-float16.zarr")
    with pytest.raises(InputError, match="Make a new bank"):
        replace(header, features={"image": (96, 64, 64), "high": (32, 128, 128)})
    with Bank(banks / "v1-float16.zarr") as bank, pytest.raises(StoreError, match="read-only"):
        bank.put(key(0), {"image": np.zeros((96, 64, 64), np.float32)})

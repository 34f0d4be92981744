"""What is trained and validated on, also where there is only one patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_samri.batch import EmbedConfig, embed_bank
from napari_samri.embeddings.bank import Bank
from napari_samri.training import TrainConfig
from napari_samri.training.estimate import Counts, estimate
from napari_samri.training.objective import SAMRI_BOX
from napari_samri.training.pairs import is_held_out, split_pairs
from tests.batch.making import make_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, []), (2, []), (3, [2]), (8, [2, 7]), (40, [8, 9, 10, 11, 28, 29, 30, 31])],
)
def test_blocks_of_slices_are_held_out(count: int, expected: list[int]) -> None:
    assert np.flatnonzero(is_held_out(np.arange(count), count)).tolist() == expected


def test_people_come_before_slices(bank: Path) -> None:
    opened = Bank(bank)
    plain, split = split_pairs(opened), split_pairs(opened, split_slices=True)
    for name, pairs in plain.items():
        np.testing.assert_array_equal(pairs.row, split[name].row)
    assert len(plain["validation"])


@pytest.fixture(scope="module")
def one_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    manifest = make_data(folder / "data", 1)
    list(embed_bank(EmbedConfig(manifest=manifest, out=folder / "bank.zarr", device="cpu")))
    return folder / "bank.zarr"


def test_one_person_is_split_by_slices(one_person: Path) -> None:
    opened = Bank(one_person)
    assert not len(split_pairs(opened)["validation"])
    whole = split_pairs(opened)["train"]
    split = split_pairs(opened, split_slices=True)
    assert not set(split["train"].row) & set(split["validation"].row)
    together = sorted([*split["train"].row, *split["validation"].row])
    assert together == sorted(whole.row)
    assert set(opened.rows["slice"][split["validation"].row]) == {2, 7}


def test_an_estimate_grows_with_the_work_and_trains_nothing(
    one_person: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        bank=one_person,
        out=tmp_path / "run",
        objective=SAMRI_BOX,
        epochs=10,
        batch=4,
        quota=None,
        device="cpu",
    )
    few = estimate(config)
    many = estimate(config, Counts(train=few.masks * 100, validation=0))
    assert many.masks == 100 * few.masks
    # Times on a busy machine differ a lot.
    assert many.seconds > 10 * few.seconds
    assert few.memory_bytes is None or few.memory_bytes > 100e6
    assert few.device_bytes is None
    assert not config.out.exists()

"""What is trained and validated on, also where there is only one patient."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from napari_samri.datasets import read_manifest, write_manifest
from napari_samri.datasets.rules import SPLITS
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import Cancelled
from napari_samri.jobs.events import Stopped, is_last
from napari_samri.models import known_preprocessings
from napari_samri.models.preprocessing import MEDSAM
from napari_samri.simulate import tight_boxes
from napari_samri.training import TrainConfig
from napari_samri.training.cost import Counts, estimate
from napari_samri.training.objective import SAMRI_BOX
from napari_samri.training.pairs import (
    is_held_out,
    label_and_piece,
    low_res_scale,
    split_pairs,
)
from napari_samri.training.plan import Group
from napari_samri.training.source import BankSource
from napari_samri.work import EmbedConfig, embed_bank
from napari_samri.work.finetune import estimate_run
from tests.work.making import make_data

EARLIER = Path(__file__).parents[1] / "embeddings" / "bank" / "earlier-banks.zip"


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


def made_up(**changes: Any) -> SimpleNamespace:
    """Return what `split_pairs` reads of a bank: a person a row, 40 of them, in two data sets."""
    people = 40
    facts = {
        "header": SimpleNamespace(family="sam"),
        "rows": {
            "split": np.full(people, SPLITS.index("zero-shot")),
            "slice_shape": np.tile([100, 200], (people, 1)),
            "dataset": np.arange(people) // 30,
            "patient": np.arange(people),
            "volume": np.arange(people),
            "slice": np.zeros(people, int),
        },
        "pairs": {
            "row": np.arange(people),
            "label": np.full(people, 7),
            "area": np.full(people, 99 / 20000, np.float32),
            "components": np.full(people, 3),
        },
        "patients": [f"person {number}" for number in range(people)],
    }
    return SimpleNamespace(**facts | changes)


def test_a_tenth_of_the_people_of_each_zero_shot_set_chooses() -> None:
    splits = split_pairs(made_up())
    choosing, rest = splits["zero-shot"], splits["zero-shot test"]
    assert np.bincount(choosing.dataset).tolist() == [3, 1]
    assert not set(choosing.patient) & set(rest.patient)
    assert len(choosing) + len(rest) == 40
    again = split_pairs(made_up(patients=made_up().patients))["zero-shot"]
    np.testing.assert_array_equal(again.row, choosing.row)


def test_a_single_person_chooses_and_nobody_is_left_for_a_test(bank: Path) -> None:
    splits = split_pairs(Bank(bank))
    assert len(splits["zero-shot"])
    assert not len(splits["zero-shot test"])


def test_small_masks_are_left_out_by_their_pixels_on_the_slice() -> None:
    for least, count in ((99, 40), (100, 0)):
        splits = split_pairs(made_up(), least_pixels=least)
        assert len(splits["zero-shot"]) + len(splits["zero-shot test"]) == count


def test_each_piece_is_an_object_of_its_own_on_request() -> None:
    splits = split_pairs(made_up(), components=True)
    every = [label_and_piece(number) for number in splits["zero-shot"].label.tolist()]
    assert sorted(every) == sorted([(7, 1), (7, 2), (7, 3)] * 4)
    assert {label_and_piece(n) for n in split_pairs(made_up())["zero-shot"].label} == {(7, 0)}


def test_areas_are_those_in_the_frame_of_the_model() -> None:
    # One pixel of 100 x 200: 1.6 low-resolution pixels, but 3.3 where the slice is stretched.
    shape = np.array([[100, 200]])
    assert low_res_scale(made_up(), shape).tolist() == [[1.28, 1.28]]
    stretched = SimpleNamespace(family=MEDSAM.id)
    assert low_res_scale(made_up(header=stretched), shape).tolist() == [[2.56, 1.28]]
    for family in known_preprocessings().values():
        found = low_res_scale(made_up(header=SimpleNamespace(family=family.id)), shape)[0]
        expected = np.array(family.make_frame((100, 200)).low_res_extent) / [100, 200]
        np.testing.assert_allclose(found, expected)


def test_boxes_are_those_of_the_slice(bank: Path) -> None:
    opened = Bank(bank)
    source = BankSource(opened, torch.device("cpu"))
    row, label = int(opened.pairs["row"][0]), int(opened.pairs["label"][0])
    read = source.read([Group(row, (label,), (0,))])
    samples = source.to_samples(read, np.zeros((1, 6), np.float32))
    assert samples is not None
    assert samples.boxes is not None
    shape = opened.rows["slice_shape"][row]
    # The shorter side fills a whole number of the input's 256 pixels.
    down, across = np.floor(shape * 256 / max(shape) + 0.5) / shape
    x0, y0, x1, y1 = opened.pairs["box_xyxy"][0]
    expected = [x0 * across, y0 * down, (x1 + 1) * across - 1, (y1 + 1) * down - 1]
    np.testing.assert_allclose(samples.boxes[0], expected, rtol=1e-5)
    # What the mask says is the same, but for what a low-resolution pixel cannot tell.
    np.testing.assert_allclose(samples.boxes, tight_boxes(samples.truth), atol=1)


def test_pieces_come_by_size_and_specks_not_at_all(bank: Path) -> None:
    labels = np.zeros((256, 256), np.uint8)
    labels[10:20, 10:20] = 3
    labels[50:90, 50:90] = 3
    labels[100, 100] = 3
    opened = Bank(bank)
    opened.labels = lambda _: labels
    source = BankSource(opened, torch.device("cpu"))
    numbers = [piece * (1 << 16) + 3 for piece in (1, 2, 3, 4)]
    read = source.read([Group(0, tuple(numbers), (0, 1, 2, 3))])
    samples = source.to_samples(read, np.zeros((4, 6), np.float32))
    assert samples is not None
    assert samples.truth.sum(dim=(1, 2)).tolist() == [1600, 100]
    assert samples.boxes.tolist() == [[50, 50, 89, 89], [10, 10, 19, 19]]


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


def test_an_estimate_stops_when_asked(one_person: Path, tmp_path: Path) -> None:
    config = TrainConfig(bank=one_person, out=tmp_path / "run", objective=SAMRI_BOX, device="cpu")
    with pytest.raises(Cancelled):
        estimate(config, cancel=lambda: True)
    [end] = [e for e in estimate_run(config, None, lambda: True) if is_last(e)]
    assert isinstance(end, Stopped)


def test_slices_without_labels_are_passed_over(tmp_path: Path) -> None:
    """They lie in the bank, for whoever wants to label them, and no training sees them."""
    path = make_data(tmp_path / "data", 2)
    manifest = read_manifest(path)
    plain = replace(
        manifest.studies[1],
        labels="",
        slices=tuple(replace(e, labels_hash="", regions=()) for e in manifest.studies[1].slices),
    )
    write_manifest(path, replace(manifest, studies=(manifest.studies[0], plain)))
    (path.parent / "case1_seg.nii.gz").unlink()
    list(embed_bank(EmbedConfig(manifest=path, out=tmp_path / "bank.zarr", device="cpu")))
    with Bank(tmp_path / "bank.zarr") as bank:
        assert len(bank) == manifest.rows
        unlabelled = np.setdiff1d(np.arange(len(bank)), bank.pairs["row"])
        assert [bank.slice_of(row)[0].image for row in unlabelled] == [plain.image] * 8
        assert all(bank.embedding(row).any() and bank.thumb(row).any() for row in unlabelled)
        assert not any(bank.labels(row).any() for row in unlabelled)
        trained = split_pairs(bank)["train"].row
        assert len(trained)
        assert not np.isin(trained, unlabelled).any()


@pytest.mark.parametrize("name", ["v1-float16.zarr", "v2-int8.zarr"])
def test_banks_of_earlier_versions_are_trained_on(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(EARLIER) as archive:
        archive.extractall(tmp_path)
    with Bank(tmp_path / name) as bank:
        pairs = split_pairs(bank)
        assert (pairs["train"].row.tolist(), pairs["validation"].row.tolist()) == ([0, 1], [2, 3])
        assert pairs["train"].pixels.tolist() == [24 * 20] * 2
        source = BankSource(bank, torch.device("cpu"))
        groups = [Group(row=row, labels=(1,), samples=(row,)) for row in range(4)]
        samples = source.to_samples(source.read(groups), np.zeros((4, 3), np.float32))
        assert samples is not None
        expected = np.stack([bank.embedding(row) for row in range(4)])
        np.testing.assert_array_equal(samples.features["image"].numpy(), expected)
        assert samples.truth.sum(dim=(1, 2)).tolist() == [96 * 80] * 4

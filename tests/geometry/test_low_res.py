"""Labels in low resolution: structures keep their area, thin ones too, and lie where they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from napari_samri.geometry.frames import LongestSideFrame, StretchedFrame
from napari_samri.geometry.low_res import labels_to_low_res

if TYPE_CHECKING:
    from pathlib import Path


def arc(side: int, width: float) -> np.ndarray:
    """Return three quarters of a ring around the middle of a slice."""
    rows, columns = np.mgrid[:side, :side] - side / 2 + 0.3
    ring = np.abs(np.hypot(rows, columns) - 0.18 * side) <= width / 2
    return (ring & ((rows < 0) | (columns < 0))).astype(np.uint8)


def share_kept(mask: np.ndarray, low: np.ndarray) -> float:
    cells_of_pixel = (256 / max(mask.shape)) ** 2
    return float((low > 0).sum() / (mask.sum() * cells_of_pixel))


@pytest.mark.parametrize("side", [320, 400, 512, 640, 1024])
@pytest.mark.parametrize("width", [2, 3, 4])
def test_thin_arcs_keep_their_area(side: int, width: int) -> None:
    mask = arc(side, width)
    low = labels_to_low_res(mask, LongestSideFrame(mask.shape))
    # Two pixels to a cell: the cells at both edges are half covered, all of them or none.
    most = 1.35 if side == 512 else 1.12
    assert 0.93 <= share_kept(mask, low) <= most


@pytest.mark.parametrize("side", [320, 512, 640, 1024])
def test_a_line_of_one_pixel_is_not_lost(side: int) -> None:
    mask = arc(side, 1)
    low = labels_to_low_res(mask, LongestSideFrame(mask.shape))
    assert 0.6 <= share_kept(mask, low) <= 1.6
    majority = labels_to_low_res(mask, LongestSideFrame(mask.shape), "majority")
    assert share_kept(mask, majority) < share_kept(mask, low)


def test_a_target_taken_back_to_the_slice_is_the_thin_structure() -> None:
    mask, frame = arc(512, 2), LongestSideFrame((512, 512))
    dice = {}
    for reduction in ("area", "majority"):
        low = labels_to_low_res(mask, frame, reduction)
        answer = frame.logits_to_slice(np.where(low, 10, -10).astype(np.float32)[None])[0] > 0
        dice[reduction] = 2 * (answer & (mask > 0)).sum() / (answer.sum() + mask.sum())
    assert dice["area"] > 0.78
    assert dice["majority"] < 0.75


@pytest.mark.parametrize(("name", "label"), [("sct_t2s_gm", 1), ("samri_knee1", 2)])
def test_real_structures_keep_their_area_within_a_twentieth(
    name: str, label: int, shared_data: Path
) -> None:
    file = shared_data / "images_labelled" / f"{name}_seg.nii.gz"
    labels = np.squeeze(np.asarray(nib.load(file).dataobj))
    axis = int(np.argmin(labels.shape))
    slices = np.moveaxis(labels, axis, 0) if labels.ndim == 3 else labels[None]
    for mask in (slices == label).astype(np.uint8):
        low = labels_to_low_res(mask, LongestSideFrame(mask.shape))
        assert share_kept(mask, low) == pytest.approx(1, abs=0.05)


def test_a_thin_structure_between_two_organs_is_not_taken_by_them() -> None:
    labels = np.ones((512, 512), np.uint8)
    labels[:, 300:] = 2
    labels[:, 299:301] = 3
    low = labels_to_low_res(labels, LongestSideFrame((512, 512)))
    assert (low == 3).sum() == 2 * 256  # half of two cells: both, for they are the smaller one's
    assert set(np.unique(low[:, :149])) == {1}
    assert set(np.unique(low[:, 151:])) == {2}


def test_a_stretched_slice_keeps_its_area_in_its_own_frame() -> None:
    labels = np.zeros((100, 600), np.uint8)
    labels[20:80, 100:400] = 7
    low = labels_to_low_res(labels, StretchedFrame((100, 600)))
    assert (low == 7).mean() == pytest.approx(labels.astype(bool).mean(), rel=0.02)


@settings(max_examples=30)
@given(
    stn.arrays(
        np.uint8, st.tuples(st.integers(2, 40), st.integers(2, 40)), elements=st.integers(0, 3)
    )
)
def test_every_label_is_there_and_nothing_else(labels: np.ndarray) -> None:
    frame = LongestSideFrame(labels.shape, 64, 16)
    low = labels_to_low_res(labels, frame)
    assert set(np.unique(low)) <= {0, *np.unique(labels)}
    assert low.dtype == labels.dtype
    rows, columns = np.nonzero(low)
    h, w = frame.low_res_extent
    assert (rows < h).all()
    assert (columns < w).all()


@given(stn.arrays(np.uint8, (16, 12), elements=st.integers(0, 4)))
def test_slices_that_are_only_enlarged_stay_as_they_are(labels: np.ndarray) -> None:
    low = labels_to_low_res(labels, LongestSideFrame(labels.shape, 64, 32))
    expected = np.kron(labels, np.ones((2, 2), np.uint8))
    np.testing.assert_array_equal(low[:, :24], expected)
    assert not low[:, 24:].any()

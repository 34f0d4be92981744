"""Labels that are in no file yet: what is asked about before a window closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri._napari.unsaved import unsaved_labels
from napari_samri.errors import GeometryError, InputError
from tests._napari.test_annotation import Desk, source  # noqa: F401  # a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VOXEL = (np.array([1]), np.array([2]), np.array([3]))


@pytest.fixture
def desk(source: Path) -> Iterator[Desk]:  # noqa: F811  # pytest's way
    desk = Desk(source)
    yield desk
    desk.annotation.close()


def paint(desk: Desk) -> None:
    desk.session.paint(VOXEL, np.array([2]))


def test_only_labels_that_changed_count(desk: Desk, tmp_path: Path) -> None:
    assert unsaved_labels(desk.viewer) == []
    desk.annotation.add_box(10, 12, 30, 40)
    assert unsaved_labels(desk.viewer) == [], "a box alone is no label"
    paint(desk)
    (found,) = unsaved_labels(desk.viewer)
    assert found.suggested == desk.volume.grid.path.with_name("head_labels.nii.gz")
    found.save(tmp_path / "out.nii.gz")
    assert unsaved_labels(desk.viewer) == []
    paint(desk)
    assert unsaved_labels(desk.viewer) == [], "the same voxel once more"


def test_those_of_a_session_that_has_ended_count_too(desk: Desk, tmp_path: Path) -> None:
    paint(desk)
    labels = desk.annotation.canvas.labels
    desk.annotation.close()
    labels.data[2, 2, 2] = 3
    (found,) = unsaved_labels(desk.viewer)
    with pytest.raises(InputError, match=r"\.nii"):
        found.save(tmp_path / "out.txt")
    assert unsaved_labels(desk.viewer)
    labels.translate = (0, 33, 0)
    with pytest.raises(GeometryError, match="were moved in the viewer"):
        found.save(tmp_path / "out.nii.gz")
    assert unsaved_labels(desk.viewer)
    labels.translate = (0, 0, 0)
    found.save(tmp_path / "out.nii.gz")
    assert unsaved_labels(desk.viewer) == []
    written = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(written.affine, nib.load(desk.volume.grid.path).affine)
    assert set(np.unique(np.asarray(written.dataobj))) == {0, 2, 3}

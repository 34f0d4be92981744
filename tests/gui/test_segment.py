"""The main job as a person does it: real viewer, real mouse and keys, real files, real model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

LOCK = 3  # column of the label table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gui.conftest import Person

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    # Of napari and its own dependencies, which we cannot mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def block_volume(affine: np.ndarray, shape: tuple[int, ...] = (60, 80, 30)) -> nib.Nifti1Image:
    """Return a volume with a bright block in the middle half of each axis."""
    voxels = np.random.default_rng(0).normal(100, 5, shape).astype(np.float32)
    middle = tuple(slice(size // 4, 3 * size // 4) for size in shape)
    voxels[middle] += 120
    return nib.Nifti1Image(voxels, affine)


def oblique_affine() -> np.ndarray:
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (12, -8, 20), degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([0.7, -0.9, 3.5])
    affine[:3, 3] = (-20, 33, 7)
    return affine


def work(person: Person, source: Path, box: tuple[int, ...], negative: tuple[int, int]) -> None:
    """Open, drag a box, add a negative point, commit; then the rest, on other slices."""
    person.widget.open_image(source)
    person.until(
        lambda: person.annotation and person.annotation.scheduler.info, "the image and the model"
    )
    if person.viewer.dims.ndim > 2:
        middle = person.session.volume.spatial_shape[0] // 2
        person.viewer.dims.set_current_step(person.viewer.dims.ndim - 3, middle)
        person.rest()

    # A box, dragged; the tool is in hand from the start.
    person.drag(box[:2], box[2:])
    person.until_answered()
    first = person.session.preview.mask.copy()
    assert first.any(), "the box gave no mask"
    assert person.annotation.canvas.preview.data.sum() == first.sum()

    # A negative point, by key and click.
    person.press(person.widget.session.prompts.tools["Point"])
    person.key("T")
    assert person.annotation.link.sign == "negative"
    person.click(*negative)
    person.until_answered()
    prompts = person.session.document.prompts(person.session.plane)
    assert len(prompts.boxes) == 1
    assert [point.positive for point in prompts.points] == [False]

    person.key("C")
    person.until_answered()
    committed = int((person.session.labels == 1).sum())
    assert committed > 0
    assert person.session.document.drawn == {}


def test_volume(person: Person, tmp_path: Path) -> None:
    source = tmp_path / "oblique.nii.gz"
    nib.save(block_volume(oblique_affine()), source)
    target = tmp_path / "out.nii.gz"
    work(person, source, (18, 14, 62, 46), (70, 55))
    session = person.session
    committed = int((session.labels == 1).sum())

    # Another slice, the next object, another box and a point: three more steps.
    person.viewer.dims.set_current_step(0, session.plane.index + 3)
    person.key("N")
    assert session.document.table.active == 2
    person.press(person.widget.session.prompts.tools["Box"])
    person.drag((18, 14), (62, 46))
    person.until_answered()
    person.key("C")
    person.until_answered()
    assert (session.labels == 2).any()

    # Another axis.
    person.viewer.dims.order = (1, 0, 2)
    person.viewer.reset_view()
    person.rest()
    assert session.plane.axis == 1
    person.viewer.dims.set_current_step(1, 40)
    person.rest()
    person.drag((6, 14), (24, 46))
    person.until_answered()
    assert session.preview.request.plane.axis == 1
    assert session.preview.mask.any()

    # Three steps back: this box, the commit of label 2, its box.
    for _ in range(3):
        person.key("Z", "ControlModifier")
    assert not (session.labels == 2).any()
    assert (session.labels == 1).sum() == committed
    assert session.plane.axis == 0, "undo shows what it takes back"
    person.key("Z", "ControlModifier+ShiftModifier")
    person.key("Z", "ControlModifier+ShiftModifier")
    assert (session.labels == 2).any()

    # A locked label refuses.
    person.press(person.widget.session.labels.table.cellWidget(1, LOCK))
    assert session.document.table[2].locked
    before = session.labels.copy()
    person.press(person.widget.session.prompts.tools["Box"])
    person.drag((18, 14), (50, 40))
    person.until_answered()
    person.key("C")
    person.rest()
    np.testing.assert_array_equal(session.labels, before)

    person.widget.save(target)
    person.until(lambda: not session.unsaved, "the file")
    written, image = nib.load(target), nib.load(source)
    np.testing.assert_array_equal(written.affine, image.affine)
    assert written.shape == image.shape
    stored = np.asarray(written.dataobj)
    assert set(np.unique(stored)) == {0, 1, 2}
    # The block is where it was: most of what was marked lies on it.
    bright = np.asarray(image.dataobj) > 160
    assert bright[stored == 1].mean() > 0.8


def test_flat_image(person: Person, tmp_path: Path) -> None:
    source = tmp_path / "flat.nii.gz"
    image = block_volume(np.diag([0.8, 1.1, 1, 1]), (60, 80))
    nib.save(image, source)
    target = tmp_path / "flat_labels.nii.gz"
    work(person, source, (18, 14, 62, 46), (70, 55))
    session = person.session
    committed = session.labels.copy()
    for _ in range(3):
        person.key("Z", "ControlModifier")
    assert not session.labels.any()
    assert session.document.drawn == {}
    for _ in range(3):
        person.key("Z", "ControlModifier+ShiftModifier")
    np.testing.assert_array_equal(session.labels, committed)

    person.press(person.widget.session.labels.table.cellWidget(0, LOCK))
    person.press(person.widget.session.prompts.tools["Box"])
    person.drag((20, 16), (50, 40))
    person.until_answered()
    person.key("C")
    np.testing.assert_array_equal(session.labels, committed)
    person.widget.save(target)
    person.until(lambda: not person.session.unsaved, "the file")
    written, read = nib.load(target), nib.load(source)
    np.testing.assert_array_equal(written.affine, read.affine)
    assert written.shape == read.shape == (60, 80)


def test_real_volume(person: Person, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "images_labelled" / "sct_t2s_gm_img.nii.gz"
    target = tmp_path / "cord.nii.gz"
    work(person, source, (140, 140, 180, 180), (150, 195))
    person.widget.save(target)
    person.until(lambda: not person.session.unsaved, "the file")
    written, image = nib.load(target), nib.load(source)
    np.testing.assert_array_equal(written.affine, image.affine)
    assert written.header["qform_code"] == image.header["qform_code"]
    assert written.shape == image.shape

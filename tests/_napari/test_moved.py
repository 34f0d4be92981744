"""Labels that were moved in the viewer are not saved as if they lay where they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_samri._napari import writer
from napari_samri._napari.layers import volume_of
from napari_samri._napari.link import SessionLink
from napari_samri._napari.placing import labels_on_image
from napari_samri._napari.reader import read_layers
from napari_samri._napari.writer import write_labels
from napari_samri.errors import StoreError
from napari_samri.session.scheduler import Scheduler
from tests._napari.conftest import AFFINE, made_up
from tests.session.fakes import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOVES: list[dict[str, Any]] = [
    {"translate": (0, 33, 0)},
    {"translate": (0, 0.2, 0)},
    {"scale": (4.1, -0.9, 0.8)},
    {"rotate": (5, 0, 0)},
    {"shear": (0.1, 0, 0)},
    {"affine": np.diag([1, 1, -1, 1])},
    {"units": ("um",) * 3},
]


@pytest.fixture
def pair(write_nifti: Callable[..., Path]) -> tuple[Image, Labels]:
    """Return the layers of an image and of labels on its grid."""
    files = write_nifti("t1.nii", made_up(dtype=np.float32) / 2), write_nifti("seg.nii", made_up())
    (grey, options, _), (labels, others, kind) = (read_layers(str(file))[0] for file in files)
    assert kind == "labels"
    return Image(grey, **options), Labels(labels, **others)


def save(labels: Labels, folder: Path) -> Path:
    """Save as napari does."""
    data, attributes, _ = labels.as_layer_data_tuple()
    path = folder / "out.nii"
    write_labels(str(path), data, attributes)
    return path


def viewer_of(*layers: Image | Labels) -> ViewerModel:
    viewer = ViewerModel()
    viewer.layers.extend(layers)
    return viewer


def assert_on_grid(path: Path) -> None:
    np.testing.assert_allclose(nib.load(path).affine, AFFINE, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("move", MOVES, ids=[next(iter(move)) for move in MOVES])
def test_labels_moved_by_themselves_are_refused(
    pair: tuple[Image, Labels], tmp_path: Path, move: dict[str, Any]
) -> None:
    labels = pair[1]
    before = {name: getattr(labels, name) for name in move}
    for name, value in move.items():
        setattr(labels, name, value)
    with pytest.raises(StoreError, match=r"'seg' were moved in the viewer.*found up to [\d.]+ mm"):
        save(labels, tmp_path)
    assert not (tmp_path / "out.nii").exists()
    for name, value in before.items():
        setattr(labels, name, value)
    assert_on_grid(save(labels, tmp_path))


def test_both_places_are_told_in_numbers(pair: tuple[Image, Labels], tmp_path: Path) -> None:
    labels = pair[1]
    labels.translate = (0, 33, 0)
    with pytest.raises(StoreError, match=r"from \(0, 33, 0\) to .*; expected .*from \(0, 0, 0\)"):
        save(labels, tmp_path)


def test_the_same_place_in_other_units_is_no_move(
    pair: tuple[Image, Labels], tmp_path: Path
) -> None:
    labels = pair[1]
    labels.scale, labels.units = np.asarray(labels.scale) * 1000, ("um",) * 3
    save(labels, tmp_path)


def test_labels_that_followed_their_image_are_saved(
    pair: tuple[Image, Labels], tmp_path: Path
) -> None:
    """In a session and after it; not once they are moved by themselves."""
    viewer, (image, labels) = viewer_of(*pair), pair
    link = SessionLink(viewer, image, Scheduler(FakeEngine(), volume_of(image), 0), labels)
    image.translate, image.scale = (5, 33, -8), (3, 1, 1)
    expected = np.array(labels.data)
    assert_on_grid(save(labels, tmp_path))
    link.close()
    assert np.array_equal(read_layers(str(save(labels, tmp_path)))[0][0], expected)
    labels.translate = (5, 33, -9)
    with pytest.raises(StoreError, match="were moved"):
        save(labels, tmp_path)


def test_labels_moved_together_with_their_image_are_saved(
    pair: tuple[Image, Labels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, labels = pair
    monkeypatch.setattr(writer, "current_viewer", lambda: viewer_of(image))
    for layer in pair:
        layer.translate = (5, 33, -8)
    save(labels, tmp_path)
    image.translate = (5, 3, -8)
    with pytest.raises(StoreError, match="were moved"):
        save(labels, tmp_path)


def test_labels_resampled_onto_a_moved_image_are_saved(
    pair: tuple[Image, Labels], tmp_path: Path
) -> None:
    viewer, (image, labels) = viewer_of(*pair), pair
    image.translate = (4, 0, 0)
    made, _ = labels_on_image(viewer, image, labels)
    assert_on_grid(save(made, tmp_path))

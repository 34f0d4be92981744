"""Open, look, save: the plugin as a viewer without a window uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri.errors import InputError, StoreError
from tests._napari.conftest import made_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel

    WriteNifti = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("plugins")
PLUGIN = "napari-samri"


@pytest.fixture
def viewer() -> ViewerModel:
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.mark.parametrize("shape", [(9, 8, 5), (9, 8), (9, 8, 5, 3)], ids=["3D", "2D", "4D"])
def test_open_an_image_and_its_labels(
    viewer: ViewerModel, write_nifti: WriteNifti, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    image = write_nifti("t1.nii", made_up(shape, np.float32))
    source = write_nifti("t1_seg.nii", made_up(shape))
    viewer.open(image, plugin=PLUGIN)
    viewer.open([source], plugin=PLUGIN)
    first, second = viewer.layers
    assert (first._type_string, second._type_string) == ("image", "labels")
    assert tuple(first.scale) == tuple(second.scale)
    assert first.axis_labels == second.axis_labels
    assert [str(unit) for unit in first.units][-2:] == ["millimeter"] * 2
    assert first.units == second.units
    second.data_setitem(tuple(np.array([0]) for _ in range(second.ndim)), 3)
    assert second.save(str(tmp_path / "new.nii.gz"), plugin=PLUGIN)
    written, old = nib.load(tmp_path / "new.nii.gz"), nib.load(source)
    np.testing.assert_array_equal(written.affine, old.affine)
    assert np.count_nonzero(np.asarray(written.dataobj) != np.asarray(old.dataobj)) <= 1


def test_open_a_stack_of_dicom_files_and_their_folder(
    viewer: ViewerModel, shared_data: Path
) -> None:
    folder = shared_data / "dicom" / "prostatex0001_adc"
    viewer.open(folder, plugin=PLUGIN)
    viewer.open(sorted(folder.iterdir()), stack=True, plugin=PLUGIN)
    first, second = viewer.layers
    np.testing.assert_array_equal(first.data, second.data)


def test_open_a_folder_of_something_else(viewer: ViewerModel, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(ValueError, match=PLUGIN):
        viewer.open(tmp_path, plugin=PLUGIN)
    assert not viewer.layers


def test_a_damaged_file_is_refused_in_our_words(viewer: ViewerModel, tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_text("<html>")
    with pytest.raises(InputError, match="failed download"):
        viewer.open(tmp_path / "a.nii.gz", plugin=PLUGIN)
    assert not viewer.layers


def test_labels_of_another_plugin_are_refused_in_our_words(
    viewer: ViewerModel, tmp_path: Path
) -> None:
    layer = viewer.add_labels(made_up())
    with pytest.raises(StoreError, match="reference image"):
        layer.save(str(tmp_path / "new.nii.gz"), plugin=PLUGIN)
    with pytest.raises(StoreError, match="reference image"):
        layer.save(str(tmp_path / "new.nii.gz"))
    assert not list(tmp_path.iterdir())


def test_the_phantom(viewer: ViewerModel) -> None:
    viewer.open_sample(PLUGIN, "phantom")
    image, labels = viewer.layers
    assert (image.name, labels.name) == ("phantom", "phantom_labels")
    assert np.asarray(labels.data).max() == 4

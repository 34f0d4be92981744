"""The demo's window, in a real viewer on a (virtual) screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri._napari.layers import reference_of
from napari_samri.errors import InputWarning

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.gui,
    # Of napari and its own dependencies, which we cannot mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def write_pair(folder: Path, moved: float = 0) -> tuple[Path, Path]:
    """Write an anisotropic volume and labels of one block in it, moved by mm along y."""
    voxels = np.random.default_rng(0).normal(100, 5, (40, 50, 12)).astype(np.float32)
    voxels[10:30, 15:35, 4:8] += 80
    labels = np.zeros(voxels.shape, np.uint8)
    labels[10:30, 15:35, 5] = 1
    affine = np.diag([0.8, 0.9, 4.0, 1])
    paths = folder / "image.nii.gz", folder / "labels.nii.gz"
    for path, array in zip(paths, (voxels, labels), strict=True):
        affine[1, 3] = moved if array is labels else 0
        nib.save(nib.Nifti1Image(array, affine), path)
    return paths


def test_layers_in_a_real_viewer(tmp_path: Path) -> None:
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_samri._napari.show import add_layers

    image, labels = write_pair(tmp_path)
    viewer = napari.Viewer(show=True)
    try:
        add_layers(viewer, image, labels)
        for _ in range(20):
            QApplication.processEvents()
        shown = viewer.screenshot(canvas_only=True, flash=False)
        assert shown[..., :3].std() > 5, "the canvas is blank"
        assert viewer.dims.current_step[0] == 12 - 1 - 5  # display order: head first
        for layer in viewer.layers:
            np.testing.assert_allclose(layer.scale, (4.0, 0.9, 0.8))
            assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
            assert layer.axis_labels == ("slice", "row", "column")
    finally:
        viewer.close()


def test_layers_without_qt(tmp_path: Path) -> None:
    from napari.components import ViewerModel

    from napari_samri._napari.show import add_layers

    viewer = ViewerModel()
    add_layers(viewer, *write_pair(tmp_path))
    assert [layer.name for layer in viewer.layers] == ["image", "labels"]
    assert viewer.layers["labels"].data.sum() == 400


def test_labels_of_a_file_on_another_grid_are_resampled_and_told(tmp_path: Path) -> None:
    """Without an origin, the viewer would show them on the image as if nothing were."""
    from napari.components import ViewerModel

    from napari_samri._napari.show import add_layers

    image, labels = write_pair(tmp_path, moved=9.0)
    viewer = ViewerModel()
    with pytest.warns(InputWarning, match="'labels' was resampled onto 'image'"):
        add_layers(viewer, image, labels)
    stored = np.asarray(nib.load(labels).dataobj)
    shown = viewer.layers[-1]
    voxels = np.asarray(shown.data)
    back = reference_of(shown.metadata).volume(voxels).to_stored(voxels)
    np.testing.assert_array_equal(back, np.roll(stored, 10, axis=1))
    assert not viewer.layers["labels"].visible


def test_what_cannot_be_shown_together_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari
    from napari.components import ViewerModel

    from napari_samri._napari import show

    monkeypatch.setattr(ViewerModel, "close", lambda _: None, raising=False)
    monkeypatch.setattr(napari, "Viewer", ViewerModel)
    image, _ = write_pair(tmp_path)
    flat = tmp_path / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.eye(5, dtype=np.uint8), np.eye(4)), flat)
    assert show.main([str(image), str(flat)]) == 1
    assert "2 axes, but 'image' has 3" in capsys.readouterr().err

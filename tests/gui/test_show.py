"""The demo's window, in a real viewer on a (virtual) screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.gui,
    # Of napari and its own dependencies, which we cannot mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Write an anisotropic volume and labels of one block in it."""
    voxels = np.random.default_rng(0).normal(100, 5, (40, 50, 12)).astype(np.float32)
    voxels[10:30, 15:35, 4:8] += 80
    labels = np.zeros(voxels.shape, np.uint8)
    labels[10:30, 15:35, 5] = 1
    affine = np.diag([0.8, 0.9, 4.0, 1])
    paths = folder / "image.nii.gz", folder / "labels.nii.gz"
    for path, array in zip(paths, (voxels, labels), strict=True):
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

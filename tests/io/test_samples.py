"""The made-up head: the same every time, on an oblique grid with thick slices."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from napari_samri.io.samples import LABELS, make_phantom


def test_it_is_the_same_every_time() -> None:
    for first, second in zip(make_phantom(), make_phantom(), strict=True):
        np.testing.assert_array_equal(first.array, second.array)


def test_image_and_labels_lie_on_one_oblique_grid() -> None:
    image, labels = make_phantom()
    assert image.grid is labels.grid
    assert image.array.shape == labels.array.shape == (24, 160, 160)
    assert (image.array.dtype, labels.array.dtype) == (np.int16, np.uint8)
    np.testing.assert_allclose(image.spacing_mm, (4.0, 1.2, 1.2), rtol=1e-6)
    directions = image.affine[:3, :3] / image.spacing_mm
    assert np.abs(directions).max() < 0.999
    middle = image.affine @ [*((np.array(image.array.shape) - 1) / 2), 1]
    np.testing.assert_allclose(middle, (0, 0, 0, 1), atol=1e-4)
    header = nib.Nifti1Header(image.grid.header)
    np.testing.assert_array_equal(header.get_best_affine(), image.grid.affine)


def test_tissues_have_their_grey_values() -> None:
    image, labels = make_phantom()
    assert set(np.unique(labels.array)) == {0, *LABELS}
    means = {label: image.array[labels.array == label].mean() for label in LABELS}
    fluid, grey, white, lesion = (means[label] for label in LABELS)
    assert fluid < lesion < grey < white
    for label in LABELS:
        assert (labels.array == label).sum() > 500

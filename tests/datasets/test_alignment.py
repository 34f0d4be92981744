"""Labels on their image's grid, whatever order of axes they are stored in."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt

from napari_samri import load_volume
from napari_samri.datasets.alignment import aligned_labels
from napari_samri.errors import GeometryError, InputError
from tests.datasets.making import AFFINES, noise, write

SHAPE = (5, 6, 7)
ORIENTATIONS = ["RAS", "LPI", "SRA", "PIL", "IRP"]


def pair(folder, image, labels, image_affine=None, labels_affine=None):
    image_path = write(folder / "image.nii.gz", image, image_affine)
    labels_path = write(folder / "labels.nii.gz", labels, labels_affine)
    return load_volume(image_path), load_volume(labels_path)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_labels_stored_in_another_orientation(tmp_path, affine, codes):
    """The image's own voxels serve as labels: aligned, both are the same array."""
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    stored = nib.Nifti1Image(values, AFFINES[affine])
    turned = stored.as_reoriented(axcodes2ornt(codes))
    image, labels = pair(tmp_path, values, np.asarray(turned.dataobj), stored.affine, turned.affine)
    found = aligned_labels(image, labels)
    np.testing.assert_array_equal(found, image.spatial())
    assert found.dtype == np.uint16


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slice_axis_that_only_one_header_names(tmp_path, axis):
    """Sagittal labels of an axial image have other axes, coronal ones other directions too."""
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    image, _ = pair(tmp_path, values, values)
    stored = nib.Nifti1Image(values, AFFINES["RAS"])
    stored.header.set_dim_info(slice=axis)
    stored.to_filename(tmp_path / "labels.nii.gz")
    labels = load_volume(tmp_path / "labels.nii.gz")
    assert labels.spatial_shape != image.spatial_shape
    np.testing.assert_array_equal(aligned_labels(image, labels), image.spatial())


def test_grids_at_45_degrees_whose_rounding_decides_what_is_axial(tmp_path):
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    grids = []
    for turn in (np.pi / 4 - 1e-5, np.pi / 4 + 1e-5):
        grid = np.eye(4)
        grid[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        grids.append(grid)
    image, labels = pair(tmp_path, values, values, *grids)
    assert image.orientation != labels.orientation
    np.testing.assert_array_equal(aligned_labels(image, labels), image.spatial())


def test_two_dimensions(tmp_path):
    values = np.arange(30, dtype=np.uint8).reshape(5, 6)
    image, labels = pair(tmp_path, values, values)
    found = aligned_labels(image, labels)
    assert found.shape == (1, 6, 5)
    np.testing.assert_array_equal(found, image.spatial())


def test_rounding_in_headers_is_no_mismatch(tmp_path):
    moved = AFFINES["oblique"] + np.random.default_rng(0).uniform(-1e-3, 1e-3, (4, 4))
    moved[3] = 0, 0, 0, 1
    aligned_labels(*pair(tmp_path, noise(0, SHAPE), noise(0, SHAPE), AFFINES["oblique"], moved))


@pytest.mark.parametrize(("off_mm", "scale"), [(0.11, 1), (0.08, 0.2)])
def test_another_origin(tmp_path, off_mm, scale):
    """Farther than 0.1 mm, or than a quarter of a voxel of 0.2 mm."""
    affine = AFFINES["RAS"] @ np.diag([scale, scale, scale, 1])
    moved = affine.copy()
    moved[0, 3] += off_mm
    with pytest.raises(GeometryError, match=rf"lies up to {off_mm:g} mm off the image's"):
        aligned_labels(*pair(tmp_path, noise(0, SHAPE), noise(0, SHAPE), affine, moved))


@pytest.mark.parametrize("turn", [0.1, 0.7])
def test_turned_grids(tmp_path, turn):
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = AFFINES["oblique"]
    with pytest.raises(GeometryError):
        aligned_labels(*pair(tmp_path, noise(0, SHAPE), noise(0, SHAPE), affine, rotation @ affine))


def test_another_shape(tmp_path):
    with pytest.raises(GeometryError, match=r"shape \(8, 6, 5\) is not the image's \(7, 6, 5\)"):
        aligned_labels(*pair(tmp_path, noise(0, SHAPE), noise(0, (5, 6, 8))))


def test_4d(tmp_path):
    flat, deep = noise(0, SHAPE), noise(0, (*SHAPE, 2))
    with pytest.raises(InputError, match=r"the image is 4D, with 2 time points.*Split it"):
        aligned_labels(*pair(tmp_path, deep, flat))
    with pytest.raises(InputError, match=r"the labels are 4D, with 2 channels.*number them 1, 2"):
        aligned_labels(*pair(tmp_path, flat, deep))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, "hold 0.5 at slice 3, row 3, column 3; expected whole numbers.*Threshold"),
        (-1, "hold -1 at slice 3, row 3, column 3.*Renumber"),
        (65536, "hold 65536 at slice 3, row 3, column 3.*Renumber"),
    ],
)
def test_values_that_are_no_labels(tmp_path, value, message):
    labels = np.zeros(SHAPE, np.float32)
    labels[1, 2, 3] = value
    with pytest.raises(InputError, match=message):
        aligned_labels(*pair(tmp_path, noise(0, SHAPE), labels))


def test_the_largest_label(tmp_path):
    labels = np.full(SHAPE, 65535, np.float64)
    assert aligned_labels(*pair(tmp_path, noise(0, SHAPE), labels)).min() == 65535

"""Orientation, affine and spacing against nibabel's own reorientation."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_samri.errors import GeometryError
from napari_samri.geometry import Grid, Volume
from napari_samri.geometry.grid import DISPLAY_CODES, display_orientation, guess_plane_axis


def random_affine(seed: int, *, oblique: bool = True) -> np.ndarray:
    """A rotated, permuted, flipped, anisotropic affine with an origin."""
    rng = np.random.default_rng(seed)
    permutation = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    angle = rng.uniform(-40, 40) if oblique else 0.0
    turn = Rotation.from_rotvec(np.radians(angle) * unit(rng)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ permutation * rng.uniform(0.3, 7, 3)
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return affine


def unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def volume_of(seed: int, shape: tuple[int, ...] = (5, 6, 7)) -> tuple[np.ndarray, Volume]:
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 1000, shape).astype(np.int16)
    affine = random_affine(seed)
    grid = Grid(shape, affine, plane_axis=int(rng.integers(0, 3)))
    return stored, Volume.from_stored(stored, grid)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_display_order_is_nibabels(seed: int) -> None:
    stored, volume = volume_of(seed)
    image = nib.Nifti1Image(stored, volume.grid.affine)
    codes = nib.aff2axcodes(volume.affine)
    assert codes in DISPLAY_CODES.values()
    transform = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
    )
    expected = image.as_reoriented(transform)
    np.testing.assert_array_equal(volume.array, np.asarray(expected.dataobj))
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, nib.affines.voxel_sizes(volume.affine))


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), times=st.sampled_from([None, 1, 3]))
def test_there_and_back(seed: int, times: int | None) -> None:
    shape = (5, 6, 7) if times is None else (5, 6, 7, times)
    stored, volume = volume_of(seed, shape)
    np.testing.assert_array_equal(volume.to_stored(volume.array), stored)
    assert volume.array.ndim == (4 if times == 3 else 3)
    assert np.shares_memory(volume.array, stored)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_voxel_stays_where_it_is_in_the_world(seed: int) -> None:
    stored, volume = volume_of(seed)
    rng = np.random.default_rng(seed)
    index = tuple(int(rng.integers(0, n)) for n in stored.shape)
    marked = np.zeros_like(stored)
    marked[index] = 1
    shown = volume.orientation.to_display(marked)
    (where,) = np.argwhere(shown)
    np.testing.assert_allclose(
        volume.affine @ [*where, 1], volume.grid.affine @ [*index, 1], atol=1e-9
    )
    for axis in range(3):
        shown_axis, shown_index = volume.orientation.index_to_display(
            axis, index[axis], stored.shape
        )
        assert where[shown_axis] == shown_index
        assert volume.orientation.index_to_stored(shown_axis, shown_index, stored.shape) == (
            axis,
            index[axis],
        )


def test_two_dimensions() -> None:
    stored = np.arange(20).reshape(4, 5)
    volume = Volume.from_stored(stored, Grid((4, 5), np.diag([-1, -2, 3, 1.0])))
    assert volume.array.shape == (5, 4)  # rows go to the back, columns to the left
    assert volume.spacing_mm == (3, 2, 1)
    np.testing.assert_array_equal(volume.to_stored(volume.array), stored)


def test_an_array_is_read_only() -> None:
    _, volume = volume_of(1)
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


@pytest.mark.parametrize("shape", [(7, 6, 5), (5, 6), (2, 5, 6, 7)])
def test_labels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    _, volume = volume_of(2)
    wrong = np.zeros((*shape, 1), np.uint8)
    with pytest.raises(GeometryError, match="do not lie on the volume's grid"):
        volume.to_stored(wrong)


@pytest.mark.parametrize(
    ("affine", "found"),
    [
        (np.diag([1, 1, 0, 1.0]), "spacing is 1, 1, 0 mm"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (np.full((4, 4), np.nan), "not a finite 4x4"),
        (np.eye(3), "not a finite 4x4"),
    ],
)
def test_bad_affines_are_refused(affine: np.ndarray, found: str) -> None:
    with pytest.raises(GeometryError, match=found):
        Grid((4, 4, 4), affine)


@pytest.mark.parametrize(
    ("shape", "spacing", "hint", "expected"),
    [
        ((10, 10, 10), (1, 1, 1), None, 2),  # isotropic: axial
        ((10, 10, 10), (5, 1, 1), None, 0),  # thick slices
        ((10, 10, 10), (1, 1.4, 1), None, 1 + 1),  # not thick enough
        ((10, 10, 10), (5, 1, 1), 1, 1),  # the header knows better
        ((10, 1, 10), (1, 1, 1), 2, 1),  # a single slice needs no telling
    ],
)
def test_plane_axis(
    shape: tuple[int, ...], spacing: tuple[float, ...], hint: int | None, expected: int
) -> None:
    affine = np.diag([*spacing, 1.0])
    assert guess_plane_axis(shape, affine, hint) == expected


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_radiological_directions(axis: int) -> None:
    orientation = display_orientation(np.eye(4), axis)
    codes = nib.aff2axcodes(np.eye(4) @ orientation.matrix((4, 4, 4)))
    assert codes == DISPLAY_CODES[axis]

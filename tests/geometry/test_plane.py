"""Planes on oblique, anisotropic volumes, and slices turned and flipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.errors import InputError
from napari_samri.geometry import Plane
from napari_samri.geometry.plane import TURNS, turned
from tests.geometry.test_grid import volume_of


@settings(deadline=None)
@given(seed=st.integers(0, 1000), axis=st.integers(0, 2))
def test_pixels_voxels_world(seed: int, axis: int) -> None:
    _, volume = volume_of(seed)
    plane = Plane(axis, 3)
    rng = np.random.default_rng(seed)
    points_rc = rng.uniform(0, 5, (4, 2))
    points_voxel = plane.pixels_to_voxels(points_rc)
    assert (points_voxel[:, axis] == 3).all()
    np.testing.assert_allclose(plane.voxels_to_pixels(points_voxel), points_rc)
    points_mm = plane.pixels_to_world(points_rc, volume)
    np.testing.assert_allclose(plane.world_to_pixels(points_mm, volume), points_rc, atol=1e-8)
    homogeneous = np.c_[points_voxel, np.ones(4)] @ volume.affine.T
    np.testing.assert_allclose(points_mm, homogeneous[:, :3])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_of_an_array_is_a_view(axis: int) -> None:
    array = np.zeros((3, 4, 5), int)
    Plane(axis, 2).of(array)[:] = 7
    marked = np.zeros_like(array)
    marked[(slice(None),) * axis + (2,)] = 7
    np.testing.assert_array_equal(array, marked)
    series = np.zeros((2, 3, 4, 5), int)
    Plane(axis, 2, time=1).of(series)[:] = 7
    np.testing.assert_array_equal(series[1], marked)
    assert not series[0].any()


def test_a_two_dimensional_array_is_one_slice() -> None:
    image = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(Plane(0, 0).of(image), image)
    np.testing.assert_array_equal(Plane(0, 0, time=0).of(image), image)
    np.testing.assert_array_equal(Plane(1, 2).of(image), image[None, 2])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_extract(axis: int) -> None:
    _, volume = volume_of(5)
    plane = Plane(axis, 2)
    pixels = plane.extract(volume)
    assert pixels.shape == plane.shape(volume)
    row, column = 1, 3
    voxel = plane.pixels_to_voxels(np.array([[row, column]]))[0].astype(int)
    assert pixels[row, column] == volume.array[tuple(voxel)]


def test_time_points() -> None:
    _, volume = volume_of(6, (5, 6, 7, 3))
    np.testing.assert_array_equal(Plane(0, 2, time=1).extract(volume), volume.array[1, 2])
    with pytest.raises(InputError, match="has 3; expected 0 to 2"):
        Plane(0, 2).extract(volume)
    with pytest.raises(InputError, match="time point is 3"):
        Plane(0, 2, time=3).extract(volume)


@pytest.mark.parametrize("plane", [Plane(3, 0), Plane(0, -1), Plane(0, 100)])
def test_outside(plane: Plane) -> None:
    _, volume = volume_of(7)
    with pytest.raises(InputError, match="expected 0"):
        plane.extract(volume)


def test_all_eight_ways_differ_and_nothing_is_lost() -> None:
    image = np.arange(6).reshape(2, 3)
    every = [turned(image, turn) for turn in range(TURNS)]
    assert len({(each.shape, each.tobytes()) for each in every}) == TURNS
    np.testing.assert_array_equal(every[0], image)
    np.testing.assert_array_equal(every[1], [[2, 5], [1, 4], [0, 3]])  # against the clock
    np.testing.assert_array_equal(every[4], [[2, 1, 0], [5, 4, 3]])
    for each in every:
        assert sorted(each.ravel()) == list(range(6))


@pytest.mark.parametrize("turn", range(TURNS))
def test_a_mask_stays_on_its_object(turn: int) -> None:
    image = np.random.default_rng(0).random((7, 5))
    mask = image > 0.6
    np.testing.assert_array_equal(turned(image, turn)[turned(mask, turn)] > 0.6, True)

"""Where arrays lie, and when two of them are the same voxels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samri import Volume
from napari_samri.errors import GeometryError
from napari_samri.geometry import Grid, Placement

SHAPE = (4, 5, 6)


def affine(spacing=(2.0, 1.0, 0.5), origin=(0.0, 0.0, 0.0)) -> np.ndarray:
    result = np.diag([*spacing, 1.0])
    result[:3, 3] = origin
    return result


def test_a_volume_lies_where_its_affine_says() -> None:
    stored = np.arange(120.0).reshape(SHAPE)
    grid = Grid(SHAPE, affine((-2, 1, 0.5), (9, 8, 7)))
    volume = Volume.from_stored(stored, grid)
    place = volume.placement
    assert place.shape == volume.array.shape
    index = np.argwhere(volume.array == stored[3, 1, 2])
    np.testing.assert_allclose(place.at(index)[0], [9 - 6, 8 + 1, 7 + 1])
    assert place.spacing == volume.spacing_mm


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        (affine(origin=(0, 0, 33)), 33),
        (affine(origin=(0, 0.11, 0)), 0.11),
        (affine((2.0, 1.0, 0.54)), 0.2),  # five steps of 0.04
        (affine((-2.0, 1.0, 0.5), (6, 0, 0)), 6),  # flipped in the same box
    ],
)
def test_other_grids(other: np.ndarray, apart: float) -> None:
    one, two = Placement(SHAPE, affine()), Placement(SHAPE, other)
    assert one.apart(two) == pytest.approx(apart)
    assert not two.is_on(one)
    assert not one.is_on(two)


def test_turned_grids() -> None:
    turn = affine()
    turn[1:3, 1:3] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    assert not Placement(SHAPE, turn).is_on(Placement(SHAPE, np.eye(4)))


@pytest.mark.parametrize(("off", "same"), [(0.09, True), (0.11, False)])
def test_a_tenth_of_a_millimetre(off: float, same: bool) -> None:
    moved = Placement(SHAPE, affine(origin=(off, 0, 0)))
    assert moved.is_on(Placement(SHAPE, affine())) is same


@pytest.mark.parametrize(("off", "same"), [(0.0049, True), (0.0051, False)])
def test_a_quarter_of_a_small_voxel(off: float, same: bool) -> None:
    small = affine((0.02, 0.02, 0.05))
    moved = small.copy()
    moved[1, 3] = off
    assert Placement(SHAPE, moved).is_on(Placement(SHAPE, small)) is same


def test_another_shape_is_another_grid() -> None:
    assert not Placement((4, 5, 7), affine()).is_on(Placement(SHAPE, affine()))


def test_indices_in_another_grid() -> None:
    one, two = Placement(SHAPE, affine(origin=(1, 2, 3))), Placement((9, 9, 9), affine((1, 1, 1)))
    point = np.array([[1.0, 2.0, 3.0]])
    found = one.indices_in(two) @ [*point[0], 1]
    np.testing.assert_allclose(two.at(found[None, :3]), one.at(point))


def test_numbers_for_people() -> None:
    text = str(Placement((4, 5, 6), affine((2, 1, 0.5), (-1, 0, 10))))
    assert text == "4 x 5 x 6 voxels of 2, 1, 0.5, from (-1, 0, 10) to (5, 4, 12.5)"


@pytest.mark.parametrize(
    "matrix",
    [np.eye(3), np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan), np.ones((4, 4))],
)
def test_transforms_that_place_nothing(matrix: np.ndarray) -> None:
    with pytest.raises(GeometryError, match=r"transform of an array of shape \(4, 5, 6\)"):
        Placement(SHAPE, matrix)


def test_it_does_not_change_with_what_it_was_made_of() -> None:
    matrix = affine()
    place = Placement(SHAPE, matrix)
    matrix[0, 3] = 5
    assert place.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        place.affine[0, 3] = 5

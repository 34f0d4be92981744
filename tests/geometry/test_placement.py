"""Where arrays lie, when two are the same voxels, and labels brought from one grid to another."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samri import Volume
from napari_samri.errors import GeometryError
from napari_samri.geometry import Grid, Placement, resample_nearest

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


def by_hand(labels: np.ndarray, source: Placement, target: Placement) -> np.ndarray:
    """Return the label of the nearest voxel centre, looked for among all."""
    indices = np.argwhere(np.ones(labels.shape, bool))
    places = source.at(indices)
    result = np.zeros(target.shape, labels.dtype)
    for index in np.ndindex(*target.shape):
        place = target.at(np.array([index]))
        nearest = np.linalg.solve(source.affine, [*place[0], 1])[:-1]
        if (nearest >= -0.5).all() and (nearest < np.array(labels.shape) - 0.5).all():
            steps = (places - place) @ np.linalg.inv(source.affine[:-1, :-1]).T
            result[index] = labels[tuple(indices[np.abs(steps).max(axis=1).argmin()])]
    return result


def placed(shape, spacing, origin=(0.0, 0.0, 0.0), turn=0.0) -> Placement:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return Placement(shape, rotation @ affine)


@pytest.mark.parametrize(
    "source",
    [
        placed((5, 6, 7), (3, 2, 2), (0.3, -1.1, 2.2)),
        placed((5, 6, 7), (-3, 2, 2), (12.1, 0.2, 0.3)),
        placed((6, 6, 6), (1.1, 1.2, 1.3), (2.03, 1.07, 1.01), turn=0.4),
    ],
)
def test_against_a_search_among_all_voxels(source: Placement) -> None:
    labels = np.random.default_rng(0).integers(0, 4, source.shape).astype(np.uint8)
    target = placed((4, 5, 6), (3.3, 2.1, 1.9))
    found = resample_nearest(labels, source, target)
    np.testing.assert_array_equal(found.labels, by_hand(labels, source, target))
    assert found.labels.dtype == np.uint8
    assert found.before == np.count_nonzero(labels)
    assert found.after == np.count_nonzero(found.labels)


def test_a_flipped_grid_in_the_same_box_is_flipped_back() -> None:
    labels = np.random.default_rng(1).integers(0, 9, (4, 5, 6))
    source, target = placed((4, 5, 6), (2, 1, 1)), placed((4, 5, 6), (-2, 1, 1), (6, 0, 0))
    found = resample_nearest(labels, source, target)
    np.testing.assert_array_equal(found.labels, labels[::-1])
    assert (found.outside, found.lost) == (0, ())


def test_halfway_between_two_voxels_all_go_the_same_way() -> None:
    labels = np.arange(1, 9).reshape(8, 1, 1)
    turned = placed((8, 1, 1), (0.1, 1, 1), turn=0.3)
    half = Placement((8, 1, 1), turned.affine @ placed((8, 1, 1), (1, 1, 1), (0.5, 0, 0)).affine)
    found = resample_nearest(labels, turned, half).labels.ravel()
    assert found.tolist() == [2, 3, 4, 5, 6, 7, 8, 0]


def test_what_is_lost_is_told() -> None:
    labels = np.zeros((6, 6, 6), np.uint16)
    labels[0, 0, 0], labels[2:5, 2:5, 2:5] = 7, 3
    source, target = placed((6, 6, 6), (1, 1, 1)), placed((4, 4, 4), (1, 1, 1), (2, 2, 2))
    found = resample_nearest(labels, source, target)
    assert (found.before, found.after, found.outside, found.lost) == (28, 27, 1, (7,))
    assert str(found) == (
        "28 labelled voxels became 27 (nearest neighbour); 1 lay outside the image and were left "
        "out; nothing is left of label 7."
    )


def test_with_time_and_in_two_dimensions() -> None:
    rng = np.random.default_rng(2)
    for shape in ((3, 4), (2, 3, 4, 5)):
        labels = rng.integers(0, 5, shape)
        one = Placement(shape, np.eye(len(shape) + 1))
        moved = np.eye(len(shape) + 1)
        moved[-2, -1] = 1  # along the last axis
        found = resample_nearest(labels, one, Placement(shape, moved)).labels
        np.testing.assert_array_equal(found[..., :-1], labels[..., 1:])
        assert not found[..., -1].any()


def test_no_labels() -> None:
    empty = np.zeros((2, 2, 2), np.uint8)
    place = placed((2, 2, 2), (1, 1, 1))
    assert resample_nearest(empty, place, place).before == 0

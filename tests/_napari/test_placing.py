"""Labels on their image's grid: by the viewer and by the files; and layers that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_samri import Volume
from napari_samri._napari.layers import layer_options, volume_of
from napari_samri._napari.link import SessionLink
from napari_samri._napari.placing import (
    check_on_grid,
    labels_on_image,
    placement_of,
    resampled_labels,
)
from napari_samri.errors import GeometryError, InputError, OtherGridError
from napari_samri.geometry import Grid, Plane
from napari_samri.session.scheduler import Scheduler
from tests.session.fakes import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (10, 12, 6)  # as stored
SPACING = (3.0, 3.0, 4.0)


def affine(
    spacing: tuple[float, ...] = SPACING, origin: tuple[float, ...] = (5.0, -7.0, 9.0)
) -> np.ndarray:
    result = np.diag([*spacing, 1.0])
    result[:3, 3] = origin
    return result


def turned(degrees: float, axes: tuple[int, int] = (1, 2)) -> np.ndarray:
    """Return a layer's affine that turns and moves."""
    angle, result = np.deg2rad(degrees), np.eye(4)
    cos, sin = np.cos(angle), np.sin(angle)
    result[np.ix_(axes, axes)] = [[cos, -sin], [sin, cos]]
    result[:3, 3] = 1.0, 8.0, -4.0
    return result


def image_of(matrix: np.ndarray | None = None, shape: tuple[int, ...] = SHAPE) -> Image:
    """Return the layer of an image that was read."""
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    volume = Volume.from_stored(array, Grid(shape, affine() if matrix is None else matrix))
    return Image(volume.array, **layer_options(volume, "t1"))


def labels_of(
    matrix: np.ndarray | None = None, shape: tuple[int, ...] = SHAPE, plane_axis: int = 2
) -> Labels:
    """Return the layer of labels that were read, one block of two voxels' width in each corner."""
    stored = np.zeros(shape, np.uint8)
    stored[2:5, 3:7, 1:4], stored[-2:, -3:, -1:] = 1, 2
    grid = Grid(shape, affine() if matrix is None else matrix, plane_axis=plane_axis)
    volume = Volume.from_stored(stored, grid)
    return Labels(np.array(volume.array), **layer_options(volume, "old"))


def plain(image: Image, **options: Any) -> Labels:
    """Return a layer that somebody made on an image, as napari's button does."""
    return Labels(
        np.zeros(image.data.shape, np.uint8),
        name="mine",
        **{
            "scale": image.scale,
            "translate": image.translate,
            "rotate": image.rotate,
            "shear": image.shear,
            "affine": image.affine,
            "units": image.units,
        }
        | options,
    )


# By the files


@pytest.mark.parametrize(
    "matrix",
    [
        affine(origin=(-28.0, -7.0, 9.0)),
        affine((-3.0, 3.0, 4.0), (5.0 + 27 + 12, -7.0, 9.0)),
        affine((2.0, 2.0, 4.0)),
        affine() @ turned(3, (0, 1)),
        affine(origin=(5.0, -7.0, 9.2)),
    ],
    ids=["moved", "flipped and moved", "finer", "turned", "a little moved"],
)
def test_labels_of_a_file_on_another_grid_are_refused(matrix: np.ndarray) -> None:
    """Most of them lie on the image in the viewer, whose world has no origin."""
    with pytest.raises(OtherGridError, match=r"by their files, the image has 6 x 12 x 10 voxels"):
        check_on_grid(image_of(), labels_of(matrix))


@pytest.mark.parametrize(
    "matrix",
    [
        affine(),
        affine((-3.0, 3.0, 4.0), (5.0 + 27, -7.0, 9.0)),
        affine(origin=(5.04, -7.0, 9.0)),
    ],
    ids=["same", "flipped in the file", "rounded"],
)
def test_labels_of_a_file_on_the_same_voxels(matrix: np.ndarray) -> None:
    check_on_grid(image_of(), labels_of(matrix))


def test_both_grids_are_told_in_numbers() -> None:
    with pytest.raises(OtherGridError) as caught:
        check_on_grid(image_of(), labels_of(affine(origin=(-28.0, -7.0, 9.0))))
    text = str(caught.value)
    assert "'old'" in text
    assert "'t1'" in text
    assert "up to 33 mm from it" in text
    assert "from (32, 26, 29) to (5, -7, 9)" in text
    assert "from (-1, 26, 29) to (-28, -7, 9)" in text


def test_files_of_another_shape_or_without_their_shape() -> None:
    image = image_of()
    with pytest.raises(OtherGridError, match="of another shape"):
        check_on_grid(image, labels_of(shape=(10, 12, 7)))
    with pytest.raises(GeometryError, match="2 axes"):
        check_on_grid(image, Labels(np.zeros((12, 10), np.uint8)))
    many = Labels([np.zeros((6, 12, 10), np.uint8), np.zeros((3, 6, 5), np.uint8)])
    with pytest.raises(InputError, match="multiscale"):
        check_on_grid(image, many)


def test_files_of_slices() -> None:
    """Two slices of one stack have equal shapes and lie on each other in the viewer."""
    flat, deeper = affine(), affine(origin=(5.0, -7.0, 13.0))
    image = image_of(flat, (10, 12))
    check_on_grid(image, _slice_labels(flat))
    with pytest.raises(OtherGridError):
        check_on_grid(image, _slice_labels(deeper))


def _slice_labels(matrix: np.ndarray) -> Labels:
    stored = np.zeros((10, 12), np.uint8)
    stored[2:5, 3:7] = 1
    volume = Volume.from_stored(stored, Grid((10, 12), matrix))
    return Labels(np.array(volume.array), **layer_options(volume, "old"))


# By the viewer


@pytest.mark.parametrize(
    "change",
    [
        {"translate": (0.0, 0.0, 15.0)},
        {"translate": (0.0, 0.3, 0.0)},
        {"scale": (-4.0, 3.0, 3.0), "translate": (20.0, 0.0, 0.0)},
        {"scale": (4.0, 3.0, 3.05)},
        {"rotate": turned(2)[:3, :3]},
        {"shear": (0.1, 0.0, 0.0)},
        {"affine": turned(15)},
        {"scale": (1.0, 1.0, 1.0), "units": ("pixel",) * 3},
        {"scale": (4.0, 3.0, 3.0), "units": ("um",) * 3},
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_labels_that_lie_elsewhere_in_the_viewer(change: dict[str, Any], known: bool) -> None:
    """Also where their file's grid is the image's: somebody moved them."""
    image = image_of()
    labels = labels_of() if known else plain(image)
    for name, value in change.items():
        setattr(labels, name, value)
    with pytest.raises(OtherGridError, match="by the viewer, the image has"):
        check_on_grid(image, labels)


def test_labels_by_napari_own_button() -> None:
    for change in ({}, {"affine": turned(20)}, {"scale": (4.0, -3.0, 3.0)}):
        viewer = ViewerModel()
        image = viewer.add_layer(image_of())
        for name, value in change.items():
            setattr(image, name, value)
        viewer.layers.selection.active = image
        viewer._new_labels()
        labels = viewer.layers[-1]
        # Of a turned image, napari before 0.7 makes labels that fill an upright box around it.
        last = np.array(image.data.shape) - 1
        apart = [
            np.subtract(labels.data_to_world(at), image.data_to_world(at))
            for at in (0 * last, last)
        ]
        if labels.data.shape == image.data.shape and np.allclose(apart, 0, atol=1e-3):
            check_on_grid(image, labels)
        else:
            assert change
            with pytest.raises(OtherGridError):
                check_on_grid(image, labels)


def test_layers_that_were_moved_together() -> None:
    image, labels = image_of(), labels_of()
    for layer in (image, labels):
        layer.affine = turned(15)
        layer.translate = 0.0, 9.0, 0.0
    check_on_grid(image, labels)


def test_one_transform_told_in_two_ways() -> None:
    """Scale and affine together say where a layer lies."""
    image = image_of()
    check_on_grid(
        image,
        plain(image, scale=(1.0, 1.0, 1.0), affine=np.diag([*image.scale, 1.0])),
    )


def test_units_are_converted() -> None:
    image = image_of()
    check_on_grid(image, plain(image, scale=image.scale * 1000, units=("um",) * 3))
    check_on_grid(image, plain(image, units=("pixel",) * 3))  # napari compares numbers then


def test_an_image_without_a_file_has_its_spacing_from_its_whole_transform() -> None:
    options = {"scale": (1000.0, 500.0, 500.0), "units": ("um",) * 3}
    image = Image(np.zeros((4, 5, 6)), affine=np.diag([3.0, 1.0, 2.0, 1.0]), **options)
    np.testing.assert_allclose(volume_of(image).spacing_mm, (3.0, 0.5, 1.0))


# Resampled


def where(layer: Labels, array: np.ndarray, label: int) -> np.ndarray:
    """Return the middle of a label in the world of a viewer."""
    return np.array(layer.data_to_world(np.argwhere(array == label).mean(axis=0)))


@pytest.mark.parametrize(
    "matrix",
    [
        affine(origin=(-1.0, -10.0, 13.0)),  # whole voxels: 2, 1 and 1
        affine((-3.0, 3.0, 4.0), (5.0 + 27 - 6, -7.0, 9.0)),
        affine((2.0, 2.0, 4.0)),
    ],
)
def test_labels_of_another_file_are_brought_onto_the_image(matrix: np.ndarray) -> None:
    """Where they lie in millimetres, by nibabel's own affines, they lie afterwards."""
    image, labels = image_of(), labels_of(matrix)
    before = labels.data.copy()
    found = resampled_labels(image, labels)
    assert found.labels.shape == image.data.shape
    np.testing.assert_array_equal(labels.data, before)
    source, target = (layer.metadata["samri"].volume(layer.data) for layer in (labels, image))
    old = np.argwhere(before == 1).mean(axis=0) @ source.affine[:3, :3].T + source.affine[:3, 3]
    new = np.argwhere(found.labels == 1).mean(axis=0) @ target.affine[:3, :3].T
    assert np.linalg.norm(new + target.affine[:3, 3] - old) <= 1.5 + 1e-9  # half a voxel


def test_labels_sliced_along_another_axis_are_permuted() -> None:
    """The grid is the same; only the order in which the axes are shown is another one."""
    image, labels = image_of(), labels_of(plane_axis=0)
    assert labels.data.shape != image.data.shape
    with pytest.raises(OtherGridError):
        check_on_grid(image, labels)
    np.testing.assert_array_equal(resampled_labels(image, labels).labels, labels_of().data)


def test_moved_labels_stay_where_the_viewer_shows_them() -> None:
    image, labels = image_of(), labels_of()
    labels.translate = 4.0, -6.0, 3.0
    found = resampled_labels(image, labels)
    np.testing.assert_allclose(where(image, found.labels, 1), where(labels, labels.data, 1))
    assert found.before - found.after == found.outside > 0


def test_both_files_and_the_viewer_disagree() -> None:
    image, labels = image_of(), labels_of(affine(origin=(-28.0, -7.0, 9.0)))
    labels.translate = 0.0, 0.0, 33.0
    with pytest.raises(GeometryError, match="Reset the transforms"):
        resampled_labels(image, labels)
    image.affine = labels.affine = turned(9)
    labels.translate = 0.0, 0.0, 0.0
    assert resampled_labels(image, labels).outside  # moved together: the files decide


# Layers that follow


class Desk:
    """A session without a model."""

    def __init__(self, image: Image, labels: Labels | None = None) -> None:
        self.viewer = ViewerModel()
        self.image = self.viewer.add_layer(image)
        if labels is not None:
            self.viewer.add_layer(labels)
        volume = volume_of(image)
        self.link = SessionLink(self.viewer, image, Scheduler(FakeEngine(), volume, 0), labels)
        self.errors: list[Exception] = []
        self.link.session.failed.connect(self.errors.append)
        self.companions = [layer for layer in self.viewer.layers if layer is not image]

    def assert_on_image(self) -> None:
        rng = np.random.default_rng(0)
        for layer in self.companions:
            for point in rng.uniform(0, 10, (4, self.image.ndim)):
                np.testing.assert_allclose(
                    layer.data_to_world(point), self.image.data_to_world(point), atol=1e-9
                )
            assert layer.units == self.image.units


CHANGES: list[tuple[str, Any]] = [
    ("scale", (3.5, 1.5, 1.5)),
    ("scale", (4.0, -3.0, 3.0)),
    ("translate", (0.0, 9.0, 0.0)),
    ("rotate", turned(15)[:3, :3]),
    ("shear", (0.2, 0.0, 0.1)),
    ("affine", turned(15)),
    ("units", ("um",) * 3),
]


@pytest.mark.parametrize(("name", "value"), CHANGES)
@pytest.mark.parametrize("given", [False, True])
def test_layers_lie_on_an_image_that_was_or_is_moved(name: str, value: Any, given: bool) -> None:
    image = image_of()
    setattr(image, name, value)
    desk = Desk(image, plain(image) if given else None)
    assert len(desk.companions) == 4
    desk.assert_on_image()
    for other, another in CHANGES:
        setattr(image, other, another)
        desk.assert_on_image()
    assert desk.errors == []
    desk.link.close()
    labels = desk.link.canvas.labels
    image.translate = 1.0, 2.0, 3.0
    assert tuple(labels.translate) != (1.0, 2.0, 3.0)


def test_with_time_and_in_two_dimensions() -> None:
    for shape in ((10, 12), (10, 12, 6, 3)):
        desk = Desk(image_of(shape=shape))
        desk.image.translate = np.arange(desk.image.ndim) + 0.5
        desk.image.affine = np.diag([1.0] * desk.image.ndim + [1]) * 1.0
        desk.assert_on_image()
        desk.link.close()


@pytest.mark.parametrize("which", ["labels", "preview", "shapes", "points"])
def test_a_layer_that_is_moved_alone_is_put_back(which: str) -> None:
    desk = Desk(image_of())
    layer = getattr(desk.link.canvas, which)
    layer.translate = 0.0, 15.0, 0.0
    desk.assert_on_image()
    assert isinstance(desk.errors[0], GeometryError)
    assert "Move the image" in str(desk.errors[0])
    layer.affine = turned(3)
    layer.affine = turned(4)
    desk.assert_on_image()
    assert len(desk.errors) == 1
    desk.image.affine = turned(4)
    layer.scale = 1.0, 1.0, 1.0
    desk.assert_on_image()
    assert len(desk.errors) == 2


def test_labels_within_the_tolerance_are_put_exactly_on_the_image() -> None:
    image = image_of()
    Desk(image, plain(image, translate=(0.0, 0.05, 0.0))).assert_on_image()


def test_refused_labels_leave_the_viewer_as_it_was() -> None:
    viewer, image = ViewerModel(), image_of()
    labels = plain(image, translate=(0.0, 0.0, 15.0))
    viewer.add_layer(image)
    viewer.add_layer(labels)
    data = labels.data
    with pytest.raises(OtherGridError):
        SessionLink(viewer, image, Scheduler(FakeEngine(), volume_of(image), 0), labels)
    assert list(viewer.layers) == [image, labels]
    assert labels.data is data
    assert tuple(labels.translate) == (0.0, 0.0, 15.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    "move",
    [
        lambda image: setattr(image, "affine", turned(15)),
        lambda image: setattr(image, "affine", turned(15, (0, 1))),
        lambda image: setattr(image, "scale", (-4.0, -3.0, 3.0)),
        lambda image: setattr(image, "translate", (2.0, -11.0, 0.7)),
    ],
    ids=["in the plane", "out of the plane", "flipped", "moved"],
)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_the_plane_is_the_one_that_napari_draws(axis: int, move: Callable[[Any], None]) -> None:
    from napari_samri._napari.layers import show_plane, shown_plane

    viewer, image = ViewerModel(), image_of()
    viewer.add_layer(image)
    move(image)
    reached = 0
    for index in range(image.data.shape[axis]):
        show_plane(viewer, image, Plane(axis, index))
        shown = shown_plane(viewer, image)
        assert shown is not None
        drawn = np.asarray(image._slice.image.raw)
        np.testing.assert_array_equal(drawn, np.moveaxis(image.data, axis, 0)[shown.index])
        reached += shown.index == index
    # Where the image is turned, napari's sliders may end before its first or last slice.
    unreached = 0 if np.array_equal(np.asarray(image.affine), np.eye(4)) else 1
    assert reached >= image.data.shape[axis] - unreached


def test_an_image_without_a_file_that_is_scaled_has_other_pixels() -> None:
    image = Image(np.random.default_rng(0).normal(size=(4, 20, 24)), name="plain")
    desk = Desk(image)
    image.scale = 5.0, 1.0, 2.0
    assert desk.link.session.volume.spacing_mm == (5.0, 1.0, 2.0)
    desk.link.close()


def test_placement_of_a_layer_without_an_array() -> None:
    desk = Desk(image_of())
    place = placement_of(desk.link.canvas.points, desk.image.data.shape)
    assert place.is_on(placement_of(desk.image))
    desk.link.close()


def test_a_viewer_in_other_units_than_its_layer() -> None:
    """Its sliders then run in the units of the viewer."""
    from napari_samri._napari.layers import show_plane, shown_plane

    viewer, image = ViewerModel(), image_of()
    image.units = ("um",) * 3
    image.scale = 4000.0, 3000.0, 3000.0
    viewer.add_layer(image)
    viewer.add_layer(image_of())
    for axis, index in ((0, 3), (1, 7), (2, 9)):
        show_plane(viewer, image, Plane(axis, index))
        drawn = np.asarray(image._slice.image.raw)
        np.testing.assert_array_equal(drawn, np.moveaxis(image.data, axis, 0)[index])
        assert shown_plane(viewer, image) == Plane(axis, index)


def test_labels_brought_onto_the_image_are_a_new_layer() -> None:
    viewer, image, labels = ViewerModel(), image_of(), labels_of(affine(origin=(-1.0, -10.0, 13.0)))
    viewer.add_layer(image)
    viewer.add_layer(labels)
    layer, told = labels_on_image(viewer, image, labels)
    check_on_grid(image, layer)
    assert "'old' was resampled onto 't1'" in told
    assert (layer.name, labels.visible, layer.visible) == ("old on t1", False, True)
    assert labels_on_image(viewer, image, layer) == (layer, "")

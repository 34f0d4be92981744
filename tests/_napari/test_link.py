"""A session in a viewer without a window: layers become intents, and state becomes layers."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri._napari.layers import layer_options, show_plane
from napari_samri._napari.link import SessionLink
from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import Plane
from napari_samri.prompts import Box, Point, PromptSet
from napari_samri.segment.protocol import Predict
from napari_samri.session.scheduler import Scheduler
from tests.session.fakes import Bench, FakeEngine, make_volume

if TYPE_CHECKING:
    from napari.layers import Labels

SHAPE = (5, 20, 24)


class Desk(Bench):
    """A session linked to a viewer."""

    def __init__(
        self,
        shape: tuple[int, ...] = SHAPE,
        labels: Any = None,
        known: bool = True,
    ) -> None:
        self.viewer = ViewerModel()
        self.volume = make_volume(shape)
        options = layer_options(self.volume, "t1") if known else {"name": "t1"}
        self.image = self.viewer.add_image(self.volume.array, **options)
        self.before = callbacks(self.viewer, self.image)
        self.engine = FakeEngine()
        self.scheduler = Scheduler(self.engine, self.volume, 0)
        given: Labels | None = (
            None if labels is None else self.viewer.add_labels(labels, scale=self.image.scale)
        )
        self.link = SessionLink(self.viewer, self.image, self.scheduler, given)
        self.session = self.link.session
        self.canvas = self.link.canvas
        self.errors = []
        self.previews = []
        self.session.failed.connect(self.errors.append)
        self.session.previewed.connect(self.previews.append)
        self.load()

    def show(self, axis: int, index: int, time: int | None = None) -> Plane:
        plane = Plane(axis, index, time)
        show_plane(self.viewer, self.image, plane)
        return plane

    def vertices(self, pixels_rc: Any) -> np.ndarray:
        """Return what napari makes of pixels (row, column) of the plane shown."""
        plane = self.session.plane
        assert plane is not None
        points = plane.pixels_to_voxels(np.asarray(pixels_rc, float))
        if self.image.ndim == 4:
            points = np.insert(points, 0, plane.time or 0, axis=1)
        return points[:, -self.image.ndim :]

    def draw(
        self, kind: str = "rectangle", corners: Any = ((2, 3), (2, 9), (8, 9), (8, 3))
    ) -> None:
        self.canvas.shapes.add([self.vertices(corners)], shape_type=kind)

    def click(self, row: float, column: float) -> None:
        self.canvas.points.add(self.vertices([(row, column)]))

    def prompts(self) -> PromptSet:
        assert self.session.plane is not None
        return self.session.document.prompts(self.session.plane)

    def assert_layers_follow(self) -> None:
        from napari_samri._napari.prompt_layers import read_drawn

        assert read_drawn(*self.canvas.prompts) == self.session.document.drawn
        np.testing.assert_array_equal(self.canvas.labels.data, self.session.labels)


def callbacks(viewer: ViewerModel, *layers: Any) -> dict[str, int]:
    """Return how many callbacks there are on a viewer and layers, by event."""
    count = {}
    for owner in (viewer.dims, viewer.layers, *layers):
        for name, emitter in owner.events.emitters.items():
            count[f"{type(owner).__name__} {name}"] = len(emitter.callbacks)
    return {name: number for name, number in count.items() if number}


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Looking


def test_layers_lie_where_the_image_does(desk: Desk) -> None:
    assert len(desk.viewer.layers) == 5
    for layer in (*desk.canvas.temporary, desk.canvas.labels):
        np.testing.assert_array_equal(layer.scale, desk.image.scale)
        assert layer.units == desk.image.units
        assert layer.axis_labels == desk.image.axis_labels
    assert desk.canvas.labels.metadata["samri"] is desk.image.metadata["samri"]


def test_the_session_looks_where_the_viewer_does(desk: Desk) -> None:
    for axis, index in ((0, 3), (1, 4), (2, 20), (0, 0)):
        assert desk.show(axis, index) == desk.session.plane
    desk.viewer.dims.ndisplay = 3
    assert desk.session.plane is None
    desk.viewer.dims.ndisplay = 2
    assert desk.session.plane == Plane(0, 0)


# Drawing


@pytest.mark.parametrize(
    ("shape", "axis", "index", "time"),
    [
        (SHAPE, 0, 4, None),
        ((20, 5, 24), 1, 3, None),
        ((20, 24, 5), 2, 2, None),
        ((20, 24), 0, 0, None),
        ((3, *SHAPE), 0, 2, 1),
        ((3, 20, 24, 5), 2, 4, 2),
    ],
)
@pytest.mark.parametrize("kind", ["rectangle", "line", "path", "polygon", "ellipse", "point"])
def test_everything_that_can_be_drawn(
    shape: tuple[int, ...], axis: int, index: int, time: int | None, kind: str
) -> None:
    desk = Desk(shape)
    desk.show(axis, index, time)
    corners = [(2.2, 3.3), (2.2, 9.9), (8.8, 9.9), (8.8, 3.3)]
    if kind == "point":
        desk.click(5.1, 6.2)
    else:
        desk.draw(kind, corners[::2] if kind == "line" else corners)
    assert not desk.prompts().is_empty
    np.testing.assert_array_equal(desk.asked.pixels, Plane(axis, index, time).extract(desk.volume))
    assert len(desk.engine.of(Predict)) == 1
    desk.assert_layers_follow()
    drawn = desk.session.document.drawn
    desk.session.undo()
    assert desk.session.document.drawn == {}
    desk.assert_layers_follow()
    desk.session.redo()
    assert desk.session.document.drawn == drawn
    desk.assert_layers_follow()
    # Drawn elsewhere, nothing of this becomes a step of its own, by rounding.
    steps = desk.session.revision
    if len(shape) > 2:
        other = desk.show(axis, index - 1, time)
        desk.click(3, 3)
        assert desk.session.document.drawn == {**drawn, other: PromptSet(points=(Point(3, 3),))}
        assert desk.session.revision == steps + 1


def test_moving_and_deleting(desk: Desk) -> None:
    desk.show(0, 2)
    desk.click(3, 3)
    desk.click(5, 5)
    desk.canvas.points.data = np.array([[2, 3, 4], [2, 5, 5]])
    assert desk.prompts().points == (Point(4, 3), Point(5, 5))
    desk.canvas.points.selected_data = {0}
    desk.canvas.points.remove_selected()
    assert desk.prompts().points == (Point(5, 5),)
    for _ in range(2):
        desk.session.undo()
    assert desk.prompts().points == (Point(3, 3), Point(5, 5))
    desk.assert_layers_follow()


def test_what_cannot_be_is_told_and_taken_away(desk: Desk) -> None:
    desk.show(0, 2)
    desk.draw()
    before = desk.session.document
    desk.click(500, 500)
    desk.draw(corners=((1, 1), (1, 1), (1, 1), (1, 1)))
    desk.draw("polygon", ((50, 50), (50, 60), (60, 60)))
    assert [type(error) for error in desk.errors] == [InputError] * 3
    assert desk.session.document is before
    desk.assert_layers_follow()


def test_signs(desk: Desk) -> None:
    desk.show(0, 1)
    assert desk.link.sign == "positive"
    desk.click(3, 3)
    desk.link.toggle_sign()
    desk.click(5, 5)
    desk.draw("path", ((1, 1), (1, 5)))
    assert desk.prompts().points == (Point(3, 3), Point(5, 5, False))
    assert not desk.prompts().strokes[0].positive
    desk.canvas.points.mode = "select"
    desk.canvas.points.selected_data = {1}
    steps = desk.session.revision
    desk.link.set_sign("positive")
    assert desk.prompts().points == (Point(3, 3), Point(5, 5))
    assert desk.session.revision == steps + 1
    desk.session.undo()
    assert desk.prompts().points == (Point(3, 3), Point(5, 5, False))
    desk.assert_layers_follow()


def test_after_undo_on_another_axis_drawing_goes_on_there(desk: Desk) -> None:
    desk.show(2, 7)
    desk.click(1, 3)
    desk.click(2, 4)
    desk.show(0, 1)
    desk.session.undo()
    assert desk.session.plane == Plane(2, 7)
    desk.click(4, 15)
    assert desk.prompts().points == (Point(3, 1), Point(15, 4))
    assert list(desk.session.document.drawn) == [Plane(2, 7)]


def test_prompts_on_several_planes(desk: Desk) -> None:
    for axis, index in ((0, 1), (1, 2), (2, 3)):
        desk.show(axis, index)
        desk.draw(corners=((1, 1), (1, 3), (3, 3), (3, 1)))
    planes = [Plane(0, 1), Plane(1, 2), Plane(2, 3)]
    assert list(desk.session.document.drawn) == planes
    for plane in reversed(planes):
        desk.session.undo()
        assert plane not in desk.session.document.drawn
        desk.assert_layers_follow()


# Masks and labels


def test_preview_commit_undo(desk: Desk) -> None:
    canvas = desk.canvas
    desk.show(1, 6)
    desk.draw(corners=((1, 2), (1, 9), (3, 9), (3, 2)))
    assert not canvas.preview.data.any()
    desk.answer()
    expected = np.zeros(SHAPE, bool)
    expected[1:4, 6, 2:10] = True
    np.testing.assert_array_equal(canvas.preview.data > 0, expected)
    desk.session.commit()
    assert not canvas.preview.data.any()
    np.testing.assert_array_equal(canvas.labels.data == 1, expected)
    assert len(canvas.shapes.data) == 0
    desk.show(0, 0)
    desk.session.undo()
    assert desk.session.plane == Plane(1, 6)
    assert not canvas.labels.data.any()
    assert len(canvas.shapes.data) == 1
    desk.answer()
    np.testing.assert_array_equal(canvas.preview.data > 0, expected)
    desk.show(0, 0)
    assert not canvas.preview.data.any()


def test_labels_have_their_colours(desk: Desk) -> None:
    desk.session.next_object()
    desk.session.set_table(desk.session.document.table.change(2, colour="#ff0000"))
    labels = desk.canvas.labels
    assert labels.selected_label == 2
    np.testing.assert_allclose(labels.get_color(2), (1, 0, 0, 1))
    labels.selected_label = 1
    assert desk.session.document.table.active == 1
    labels.selected_label = 9
    assert desk.session.document.table.active == 9


def test_strokes_of_the_brush_are_steps(desk: Desk) -> None:
    labels = desk.canvas.labels
    desk.show(0, 2)
    labels.brush_size = 3
    with labels.block_history():  # as a drag of the mouse
        labels.paint((2, 5, 5), 1)
        labels.paint((2, 6, 6), 1)
    assert desk.session.labels[2, 5, 5] == 1
    assert desk.session.revision == 1
    desk.assert_layers_follow()
    desk.session.undo()
    assert not labels.data.any()
    desk.assert_layers_follow()


def test_polygons_and_fills_are_steps(desk: Desk) -> None:
    """They tell of themselves before they have happened."""
    labels = desk.canvas.labels
    desk.show(0, 2)
    labels.paint_polygon([[2, 3, 3], [2, 3, 9], [2, 9, 9], [2, 9, 3]], 1)
    assert desk.session.labels[2, 5, 5] == 1
    assert desk.session.revision == 1
    labels.fill((2, 5, 5), 0)
    assert desk.session.revision == 2
    assert not desk.session.labels.any()
    desk.session.undo()
    desk.session.undo()
    desk.assert_layers_follow()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_painting_with_time(axis: int) -> None:
    desk = Desk((3, 6, 7, 8))
    desk.show(axis, 3, 2)
    desk.canvas.labels.brush_size = 1
    desk.canvas.labels.paint((2, 3, 3, 3), 1)
    assert desk.session.labels[2, 3, 3, 3] == 1
    desk.assert_layers_follow()


def test_painting_in_all_three_directions(desk: Desk) -> None:
    labels = desk.canvas.labels
    labels.n_edit_dimensions = 3
    labels.brush_size = 9
    labels.paint((2, 9, 9), 1)
    assert desk.session.labels[1, 9, 9] == 1
    desk.assert_layers_follow()


def test_locked_voxels_come_back(desk: Desk) -> None:
    labels = desk.canvas.labels
    desk.show(0, 2)
    labels.brush_size = 5
    labels.paint((2, 5, 5), 1)
    desk.session.set_table(desk.session.document.table.change(1, locked=True).add())
    before = desk.session.labels.copy()
    labels.paint((2, 5, 7), 2)
    assert "locked" in str(desk.errors[0])
    assert (desk.session.labels[before == 1] == 1).all()
    assert (desk.session.labels == 2).any()
    desk.assert_layers_follow()
    labels.selected_label = 1
    labels.paint((2, 15, 15), 1)
    assert desk.session.labels[2, 15, 15] == 0
    desk.assert_layers_follow()


def test_labels_replaced_by_others(desk: Desk) -> None:
    """By a script or another plugin."""
    labels = desk.canvas.labels
    new = np.zeros(SHAPE, np.uint16)
    new[3, 4:6, 5] = 1
    labels.data = new
    np.testing.assert_array_equal(desk.session.labels, new)
    desk.session.undo()
    desk.assert_layers_follow()
    labels.data = np.ones((5, 20, 25), np.uint16)
    assert "replaced" in str(desk.errors[0])
    desk.assert_layers_follow()
    labels.data[0, 0, 0] = 1  # without a word
    desk.link.read_labels()
    assert desk.session.labels[0, 0, 0] == 1


def test_labels_that_are_there_are_gone_on_with() -> None:
    given = np.zeros(SHAPE, np.uint8)
    given[1, 2, 3] = 7
    original = given.copy()
    desk = Desk(labels=given)
    assert desk.session.document.table.active == 7
    desk.show(0, 1)
    desk.draw()
    desk.answer()
    desk.session.commit()
    assert desk.session.labels[1, 5, 5] == 7
    desk.assert_layers_follow()
    np.testing.assert_array_equal(given, original)  # a copy was changed


def test_labels_of_another_shape_add_no_layer() -> None:
    viewer = ViewerModel()
    volume = make_volume(SHAPE)
    image = viewer.add_image(volume.array)
    labels = viewer.add_labels(np.zeros((5, 20, 25), np.uint8))
    scheduler = Scheduler(FakeEngine(), volume)
    with pytest.raises(GeometryError):
        SessionLink(viewer, image, scheduler, labels)
    assert list(viewer.layers) == [image, labels]


def test_images_of_other_readers_are_annotated_but_not_saved() -> None:
    assert Desk().session.grid_is_known
    assert not Desk(known=False).session.grid_is_known


# The image changes, layers go


def test_other_voxels_are_asked_anew(desk: Desk) -> None:
    desk.show(0, 2)
    desk.draw()
    desk.answer()
    desk.image.data = desk.volume.array + 1
    np.testing.assert_array_equal(desk.asked.pixels, desk.volume.array[2] + 1)
    assert desk.scheduler.busy


def test_an_image_of_another_shape_is_refused(desk: Desk) -> None:
    desk.show(0, 2)
    desk.draw()
    desk.image.data = np.zeros((6, 20, 24), np.float32)
    assert isinstance(desk.errors[0], GeometryError)
    np.testing.assert_array_equal(desk.session.volume.array, desk.volume.array)


@pytest.mark.parametrize("which", ["image", "labels", "preview", "shapes", "points"])
def test_a_layer_that_goes_is_told(desk: Desk, which: str) -> None:
    lost: list[str] = []
    desk.link.lost.connect(lost.append)
    layer = desk.image if which == "image" else getattr(desk.canvas, which)
    other = desk.viewer.add_points(None)
    desk.viewer.layers.remove(other)
    assert lost == []
    desk.viewer.layers.remove(layer)
    assert lost == [layer.name]


def test_closing_leaves_nothing() -> None:
    desk = Desk()
    desk.show(0, 2)
    desk.draw()
    desk.answer()
    desk.session.commit()
    labels = desk.canvas.labels
    desk.link.close()
    assert list(desk.viewer.layers) == [desk.image, labels]
    desk.viewer.layers.remove(labels)
    assert callbacks(desk.viewer, desk.image) == desk.before
    assert desk.engine.closed
    desk.link.close()
    alive = weakref.ref(desk.link)
    del desk
    gc.collect()
    assert alive() is None


def test_labels_have_no_callbacks_left() -> None:
    given = np.zeros(SHAPE, np.uint16)
    desk = Desk(labels=given)
    layer = desk.canvas.labels
    during = callbacks(desk.viewer, layer)
    desk.link.close()
    after = callbacks(desk.viewer, layer)
    for name in ("paint", "selected_label", "data", "labels_update"):
        assert after.get(f"Labels {name}", 0) == during[f"Labels {name}"] - 1


def test_two_sessions_in_one_viewer(desk: Desk) -> None:
    volume = make_volume((5, 20, 24))
    image = desk.viewer.add_image(volume.array, **layer_options(volume, "t2"))
    link = SessionLink(desk.viewer, image, Scheduler(FakeEngine(), volume, 0))
    desk.show(0, 3)
    assert link.session.plane == desk.session.plane == Plane(0, 3)
    desk.draw()
    assert link.session.document.drawn == {}
    assert desk.prompts().boxes == (Box(3, 2, 9, 8),)
    link.close()
    desk.click(4, 4)
    assert desk.prompts().points == (Point(4, 4),)

"""What is seen is what is segmented: one image in view, the others hidden until that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri import start_session
from napari_samri._napari.annotation import Annotation, annotations_of
from napari_samri._napari.foreground import camera_of
from napari_samri._napari.layers import layer_options, shown_plane
from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import Plane
from tests.session.fakes import FakeEngine, make_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image


class Room:
    """A viewer with images, and sessions in it."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self.opened: list[Annotation] = []

    def add(self, name: str, shape: tuple[int, ...], **options: Any) -> Image:
        volume = make_volume(shape)
        return self.viewer.add_image(volume.array, **(layer_options(volume, name) | options))

    def begin(self, image: Image, labels: Any = None) -> Annotation:
        annotation = Annotation(self.viewer, image, labels, engine=FakeEngine(), ahead=0)
        annotations_of(self.viewer)[id(image)] = annotation
        self.opened.append(annotation)
        return annotation

    def visible(self) -> set[str]:
        return {layer.name for layer in self.viewer.layers if layer.visible}


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    for annotation in room.opened:
        annotation.close()


def test_the_image_of_the_session_is_the_one_that_is_seen(room: Room) -> None:
    first = room.add("first", (9, 20, 24))
    room.add("second", (7, 30, 32), translate=(3, 500, 0))
    session = room.begin(first)
    assert room.visible() == {"first", "first labels", "first boxes", "first points"}
    assert session.session.plane == Plane(0, 4)
    row, column = camera_of(room.viewer).center[-2:]
    assert (row, column) == pytest.approx(tuple(first.extent.world.mean(axis=0)[1:]))
    session.close()
    assert room.visible() == {"first", "first labels", "second"}


@pytest.mark.parametrize("dims", [(20, 24), (40, 20)], ids=["smaller", "larger"])
def test_a_volume_beside_a_flat_image_comes_to_its_middle_slice(
    room: Room, dims: tuple[int, int]
) -> None:
    flat = room.add("flat", dims)
    before = room.begin(flat)
    assert before.session.plane == Plane(0, 0)
    volume = room.add("volume", (9, 20, 24))
    before.close()
    after = room.begin(volume)
    assert after.session.plane == Plane(0, 4)
    assert "flat" not in room.visible()
    after.close()
    room.viewer.dims.order = (1, 0, 2)
    again = room.begin(flat)
    assert again.session.plane == Plane(0, 0)
    assert room.viewer.dims.displayed == (1, 2)


def test_the_axis_and_the_time_point_in_view_stay(room: Room) -> None:
    series = room.add("series", (4, 9, 20, 24))
    room.add("other", (9, 20, 24))
    room.viewer.dims.order = (0, 2, 1, 3)
    room.viewer.dims.set_point(0, 3)
    assert room.begin(series).session.plane == Plane(1, 10, 3)


def test_the_only_image_stays_as_it_is_looked_at(room: Room) -> None:
    image = room.add("image", (9, 20, 24))
    room.viewer.dims.set_point(0, 2 * 2.0)
    camera_of(room.viewer).zoom = 7.5
    assert room.begin(image).session.plane == Plane(0, 2)
    assert camera_of(room.viewer).zoom == 7.5


def test_an_image_that_is_hidden_or_out_of_view_is_brought_back(room: Room) -> None:
    image = room.add("image", (9, 20, 24))
    image.visible = False
    room.viewer.dims.ndisplay = 3
    assert room.begin(image).session.plane == Plane(0, 4)
    assert image.visible


def test_labels_elsewhere_are_hidden_and_those_on_the_image_stay(room: Room) -> None:
    image = room.add("image", (9, 20, 24))
    add = room.viewer.add_labels
    scale = image.scale
    add(np.ones((9, 20, 24), int), name="truth", scale=scale)
    add(np.ones((9, 20, 24), int), name="moved", scale=scale, translate=(0, 5, 0))
    add(np.ones((9, 10, 24), int), name="cut", scale=scale)
    room.begin(image)
    assert {"truth", "moved", "cut"} & room.visible() == {"truth"}


def test_what_the_user_shows_or_removes_stays_so(room: Room) -> None:
    first, second = room.add("first", (9, 20, 24)), room.add("second", (7, 30, 32))
    third = room.add("third", (7, 30, 32))
    session = room.begin(first)
    second.visible = True
    assert session.foreground.hide_others() == []
    assert "second" in room.visible()
    room.viewer.layers.remove(third)
    newcomer = room.add("newcomer", (7, 30, 32))
    assert session.foreground.hide_others() == [newcomer]
    session.close()
    assert {"second", "newcomer"} <= room.visible()


def test_two_sessions_in_one_viewer(room: Room) -> None:
    first, second = room.add("first", (9, 20, 24)), room.add("second", (7, 30, 32))
    one = room.begin(first)
    other = room.begin(second)
    assert room.visible() == {"second", "second labels", "second boxes", "second points"}
    other.close()
    assert {"first", "first labels", "first points"} <= room.visible()
    one.close()
    assert room.visible() == {"first", "first labels", "second", "second labels"}


def test_work_on_labels_that_are_still_open_is_not_offered_again(room: Room) -> None:
    image = room.add("image", (9, 20, 24))
    other = room.viewer.add_labels(np.zeros((9, 20, 24), np.uint16), scale=image.scale)
    one = room.begin(image)
    one.session.paint((np.array([1]), np.array([2]), np.array([3])), np.array([1]))
    labels = one.link.canvas.labels
    one.close()
    two = room.begin(image, other)
    assert two.recovered is None
    two.session.paint((np.array([1]), np.array([2]), np.array([4])), np.array([1]))
    two.close()
    three = room.begin(image, labels)
    assert three.recovered is None
    assert three.session.unsaved
    three.close()
    room.viewer.layers.remove(other)
    four = room.begin(image, labels)
    assert four.recovered is not None, "it is nowhere but in its journal"
    assert four.recovered.labels[1, 2, 4] == 1


def test_a_script_is_told_that_a_session_works_on_other_labels(room: Room) -> None:
    image = room.add("image", (9, 20, 24))
    other = room.viewer.add_labels(np.zeros((9, 20, 24), np.uint16), scale=image.scale)
    session = room.begin(image)
    with pytest.raises(InputError, match="works on the labels 'image labels', not on 'Labels'"):
        start_session(room.viewer, image, labels_layer=other)
    own = session.link.canvas.labels
    assert start_session(room.viewer, image, labels_layer=own) is session


def test_what_is_refused_hides_nothing(room: Room) -> None:
    image = room.add("image", (9, 20, 24))
    room.add("other", (7, 30, 32))
    labels = room.viewer.add_labels(np.zeros((2, 2, 2), np.uint16))
    before = room.visible()
    with pytest.raises(GeometryError):
        room.begin(image, labels)
    assert room.visible() == before
    assert shown_plane(room.viewer, image) is not None

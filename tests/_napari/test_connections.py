"""A click that picks an object for re-opening: it changes nothing but what is picked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from napari_samri._napari.connections import pick_pixel
from napari_samri._napari.foreground import bring_into_view, camera_of
from napari_samri._napari.layers import viewer_steps
from napari_samri.errors import InputError, SamriError
from napari_samri.geometry import Plane
from tests._napari.test_link import Desk

OBJECT = (slice(None), slice(2, 6), slice(3, 9))


class Hand:
    """Clicks on a viewer without a window: napari asks the viewer first, then the active layer."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.picked: list[tuple[Plane, int, int]] = []
        self.missed: list[SamriError] = []

    def pick(self) -> Any:
        viewer, image = self.desk.viewer, self.desk.image

        def picked(*place: Any) -> None:
            self.picked.append(place)

        return pick_pixel(viewer, image, picked, self.missed.append)

    def click(self, row: float, column: float, *, drag: int = 0) -> None:
        world = self._world(row, column)
        event = SimpleNamespace(
            type="mouse_press",
            pos=np.array([100, 100]),
            position=world,
            view_direction=None,
            up_direction=None,
            dims_displayed=list(self.desk.viewer.dims.displayed),
            dims_point=list(self.desk.viewer.dims.point),
            modifiers=(),
            button=1,
            handled=False,
            camera_zoom=1,
            is_dragging=True,
        )
        self._pass(mouse_press_callbacks, event)
        event.type, event.pos = "mouse_move", np.array([100 + drag, 100])
        self._pass(mouse_move_callbacks, event)
        event.type = "mouse_release"
        self._pass(mouse_release_callbacks, event)

    def _world(self, row: float, column: float) -> tuple[float, ...]:
        desk = self.desk
        plane = desk.session.plane or Plane(0, 0)
        voxel = plane.pixels_to_voxels(np.array([[row, column]], float))[0]
        steps = viewer_steps(desk.viewer, desk.image)
        return tuple(np.asarray(desk.image.data_to_world(voxel[-desk.image.ndim :])) / steps)

    def _pass(self, callbacks: Any, event: Any) -> None:
        viewer = self.desk.viewer
        callbacks(viewer, event)
        if viewer.layers.selection.active is not None:
            callbacks(viewer.layers.selection.active, event)


@pytest.fixture
def hand() -> Hand:
    desk = Desk()
    desk.canvas.labels.data[OBJECT] = 1
    desk.link.read_labels()
    return Hand(desk)


TOOLS = [
    ("points", "add"),
    ("points", "select"),
    ("shapes", "add_rectangle"),
    ("labels", "paint"),
    ("labels", "fill"),
    ("labels", "erase"),
    ("labels", "pick"),
]


@pytest.mark.parametrize(("layer", "mode"), TOOLS, ids=["-".join(tool) for tool in TOOLS])
def test_a_pick_uses_no_tool_on_no_layer(hand: Hand, layer: str, mode: str) -> None:
    desk = hand.desk
    desk.show(0, 2)
    target = getattr(desk.canvas, layer)
    desk.viewer.layers.selection.active = target
    target.mode = mode
    document, labels = desk.session.document, desk.session.labels.copy()
    hand.pick()
    hand.click(4, 5)
    assert hand.picked == [(Plane(0, 2), 4, 5)]
    assert desk.session.document == document
    np.testing.assert_array_equal(desk.canvas.labels.data, labels)
    assert len(desk.canvas.points.data) == len(desk.canvas.shapes.data) == 0
    assert target.mode == mode
    assert hand.picked == [(Plane(0, 2), 4, 5)]
    hand.click(4, 5)
    assert len(hand.picked) == 1, "one click is one pick"


def test_a_tool_taken_at_the_pick_is_not_used_by_its_click(hand: Hand) -> None:
    """Re-opening goes on with the tool for points; the click itself drops none."""
    desk = hand.desk
    desk.show(0, 2)
    desk.viewer.layers.selection.active = desk.canvas.shapes
    desk.canvas.shapes.mode = "add_rectangle"

    def reopen(*place: Any) -> None:
        desk.session.reopen(*place)
        desk.viewer.layers.selection.active = desk.canvas.points
        desk.canvas.points.mode = "add"

    pick_pixel(desk.viewer, desk.image, reopen, hand.missed.append)
    before = desk.session.labels.copy()
    hand.click(4, 5)
    assert desk.session.document.drawn == {}
    assert len(desk.canvas.points.data) == 0
    assert desk.session.preview.mask.sum() == before[2].sum()
    desk.session.commit()
    np.testing.assert_array_equal(desk.session.labels, before)
    hand.click(4, 5)
    assert len(desk.canvas.points.data) == 1, "the next click is a point"


def test_a_viewer_in_finer_units_than_the_image(hand: Hand) -> None:
    """Its positions are in its own units: millimetres of the image are thousands there."""
    desk = hand.desk
    desk.viewer.add_image(np.zeros((2, 2, 2)), units=("um",) * 3)
    steps = viewer_steps(desk.viewer, desk.image)
    if steps[0] == 1:
        pytest.skip("this napari has no units of the viewer")
    desk.show(0, 2)
    hand.pick()
    hand.click(4, 5)
    assert (hand.picked, hand.missed) == ([(Plane(0, 2), 4, 5)], [])
    bring_into_view(desk.viewer, desk.image)
    middle = np.asarray(desk.image.extent.world).mean(axis=0)[-2:] * 1000
    np.testing.assert_allclose(camera_of(desk.viewer).center[-2:], middle)


def test_who_drags_the_picture_picks_nothing_yet(hand: Hand) -> None:
    hand.desk.show(0, 2)
    hand.pick()
    hand.click(4, 5, drag=40)
    assert (hand.picked, hand.missed) == ([], [])
    hand.click(4, 5)
    assert len(hand.picked) == 1


def test_a_place_that_is_no_pixel_is_told(hand: Hand) -> None:
    hand.desk.show(0, 2)
    hand.pick()
    hand.click(4, 500)
    assert hand.picked == []
    assert "outside 't1'" in str(hand.missed[0])
    hand.desk.viewer.dims.ndisplay = 3
    hand.pick()
    hand.click(4, 5)
    assert hand.picked == []
    assert "switch the viewer to 2D" in str(hand.missed[1])


def test_who_waits_no_more_picks_nothing(hand: Hand) -> None:
    hand.desk.show(0, 2)
    stop = hand.pick()
    stop()
    stop()
    hand.click(4, 5)
    assert (hand.picked, hand.missed) == ([], [])


@pytest.mark.parametrize("layer", ["points", "shapes"])
def test_a_click_in_a_3d_view_is_no_prompt(hand: Hand, layer: str) -> None:
    desk = hand.desk
    desk.show(0, 2)
    desk.click(3, 3)
    desk.draw()
    document = desk.session.document
    desk.viewer.layers.selection.active = desk.canvas.points
    desk.canvas.points.mode = "add"
    desk.viewer.dims.ndisplay = 3
    hand.click(4, 5)
    assert desk.session.document is document
    assert desk.errors == [], "the tool rests"
    # Also by a tool that is taken all the same, and by what is moved there.
    if layer == "points":
        desk.canvas.points.add([[2, 4, 5]])
    else:
        desk.canvas.shapes.add([[[2, 4, 5], [2, 4, 9], [2, 8, 9], [2, 8, 5]]])
    (error,) = desk.errors
    assert isinstance(error, InputError)
    assert "switch the viewer to 2D" in str(error)
    assert desk.session.document is document
    desk.assert_layers_follow()
    desk.viewer.dims.ndisplay = 2
    assert desk.canvas.points.mode == "add"
    hand.click(4, 5)
    assert len(desk.prompts().points) == 2

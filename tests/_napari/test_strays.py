"""What comes onto the prompt layers by other ways than drawing: it is a prompt, and it stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_samri.geometry import Plane
from napari_samri.prompts import Box, Point
from tests._napari.test_link import Desk

CORNERS = ((2, 3), (2, 9), (8, 9), (8, 3))
FIELDS = {"rectangle": "boxes", "polygon": "outlines", "path": "strokes", "line": "lines"}


def paste(desk: Desk, item: int = 0) -> None:
    """Copy an item on slice 1 of the axis shown, and paste it on slice 3, as napari's keys do."""
    layer, plane = desk.canvas.shapes, desk.session.plane
    assert plane is not None
    layer.mode = "select"
    layer.selected_data = {item}
    layer._copy_data()
    desk.show(plane.axis, 3)
    layer._paste_data()


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("axis", [0, 2])
def test_pasted_shapes_belong_to_the_slice_shown(kind: str, axis: int) -> None:
    desk = Desk()
    desk.show(axis, 1)
    desk.draw(kind, CORNERS[::2] if kind == "line" else CORNERS)
    first = desk.prompts()
    paste(desk)
    assert desk.session.plane == Plane(axis, 3)
    assert desk.prompts() == first
    assert len(getattr(desk.prompts(), FIELDS[kind])) == 1
    desk.click(4, 4)
    assert getattr(desk.prompts(), FIELDS[kind]) == getattr(first, FIELDS[kind])
    assert desk.prompts().points == (Point(4, 4),)
    desk.assert_layers_follow()
    desk.session.undo()
    desk.session.undo()
    assert desk.session.document.drawn == {Plane(axis, 1): first}
    desk.assert_layers_follow()


def test_a_pasted_shape_outside_the_slice_is_told_and_taken_away() -> None:
    desk = Desk()
    desk.show(0, 1)
    desk.draw()
    layer = desk.canvas.shapes
    layer.selected_data = {0}
    layer._copy_data()
    layer._clipboard["data"][0].data = layer._clipboard["data"][0].data + 100.0
    layer._paste_data()
    assert len(desk.errors) == 1
    assert len(layer.data) == 1
    desk.assert_layers_follow()


def test_what_no_event_told_of_stays_when_a_script_draws() -> None:
    """The layers are compared with what they showed before they are written anew."""
    desk = Desk()
    desk.show(0, 1)
    desk.draw()
    with desk.canvas.shapes.events.blocker_all():
        desk.canvas.shapes.add([np.array([[3, *corner] for corner in CORNERS])])
    desk.session.set_prompts(desk.prompts().joined(type(desk.prompts())(points=(Point(1, 1),))))
    drawn = desk.session.document.drawn
    assert drawn[Plane(0, 1)].points == (Point(1, 1),)
    assert drawn[Plane(0, 1)].boxes == drawn[Plane(0, 3)].boxes == (Box(3, 2, 9, 8),)
    desk.assert_layers_follow()


def test_pasted_points_are_counted() -> None:
    """Pasting points tells of a redraw alone."""
    desk = Desk()
    desk.show(0, 1)
    desk.click(3, 3)
    points = desk.canvas.points
    with points.events.blocker_all():
        points.add([[1, 5, 6]])
    points.refresh()
    assert desk.prompts().points == (Point(3, 3), Point(6, 5))


@pytest.mark.parametrize("features", [{}, {"sign": ["?"], "axis": [np.nan]}, {"axis": ["x"]}])
def test_features_that_say_nothing(features: dict[str, Any]) -> None:
    desk = Desk()
    desk.show(1, 4)
    desk.draw(corners=((1, 3), (1, 9), (3, 9), (3, 3)))
    before = desk.prompts().boxes
    desk.canvas.shapes.features = features
    desk.canvas.shapes.add_rectangles([[[0, 4, 3], [0, 4, 6], [2, 4, 6], [2, 4, 3]]])
    assert set(before) <= {
        box for each in desk.session.document.drawn.values() for box in each.boxes
    }
    assert desk.errors == []


def test_shapes_that_a_script_adds_or_sets() -> None:
    desk = Desk()
    desk.show(0, 2)
    desk.canvas.shapes.add_rectangles([[[2, 1, 1], [2, 1, 5], [2, 5, 5], [2, 5, 1]]])
    assert desk.prompts().boxes == (Box(1, 1, 5, 5),)
    desk.canvas.shapes.data = [np.array([[2, 2, 2], [2, 2, 6], [2, 6, 6], [2, 6, 2]])]
    assert desk.prompts().boxes == (Box(2, 2, 6, 6),)


def test_a_sign_that_is_typed_into_the_table_of_features() -> None:
    desk = Desk()
    desk.show(0, 2)
    desk.click(3, 3)
    features = desk.canvas.points.features.copy()
    features.loc[0, "sign"] = "negative"
    desk.canvas.points.features = features
    assert desk.prompts().points == (Point(3, 3, False),)

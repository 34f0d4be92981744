"""A real viewer on a (virtual) screen, driven by mouse and keys as a person does it."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 120


@pytest.fixture(scope="session", autouse=True)
def _modules_are_no_garbage() -> Iterator[None]:
    """Keep what is imported out of Python's collector.

    napari collects garbage each time a layer goes, which with all modules takes half a second.
    """
    import napari

    from napari_samri._qt.segment_widget import SegmentWidget

    del napari, SegmentWidget
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Person:
    """Looks at a viewer, moves the mouse, presses keys."""

    def __init__(self, viewer: Any) -> None:
        from napari_samri._qt.segment_widget import SegmentWidget

        self.viewer = viewer
        self.widget = SegmentWidget(viewer)
        self.dock = viewer.window.add_dock_widget(self.widget, name="Segment", area="right")
        self.rest()

    # Looking

    @property
    def annotation(self) -> Any:
        return self.widget.annotation

    @property
    def session(self) -> Any:
        return self.annotation.session

    def rest(self, rounds: int = 20) -> None:
        from qtpy.QtWidgets import QApplication

        for _ in range(rounds):
            QApplication.processEvents()
            time.sleep(0.002)

    def until(self, holds: Callable[[], Any], what: str) -> None:
        """Let the window live until something holds."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < end, f"waited in vain for {what}"
            self.rest(2)
        self.rest()

    def until_answered(self) -> None:
        self.until(lambda: not self.annotation.scheduler.busy, "the model")

    # Hands

    @property
    def canvas(self) -> Any:
        from napari._qt.qt_viewer import QtViewer

        viewers = self.viewer.window._qt_window.findChildren(QtViewer)
        return viewers[0].canvas.native

    def spot(self, row: float, column: float) -> Any:
        """Return the place on the screen of a pixel (row, column) of the slice in view."""
        from qtpy.QtCore import QPoint

        plane = self.session.plane
        image = self.annotation.image
        coordinates = self._coordinates(plane, image.ndim, row, column)
        world = np.asarray(image.data_to_world(coordinates))
        displayed = list(self.viewer.dims.displayed)[-2:]
        offset = self.viewer.dims.ndim - image.ndim
        at = np.array([world[axis - offset] for axis in displayed])
        camera = self.viewer.camera
        centre = np.array(camera.center[-2:])
        size = self.canvas.size()
        middle = np.array([size.height(), size.width()]) / 2
        y, x = middle + (at - centre) * camera.zoom
        return QPoint(round(float(x)), round(float(y)))

    @staticmethod
    def _coordinates(plane: Any, ndim: int, row: float, column: float) -> Any:
        from napari_samri._napari.layers import to_coordinates

        return to_coordinates([[column, row]], plane, ndim)[0]

    def click(self, row: float, column: float) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        place = self.spot(row, column)
        QTest.mouseMove(self.canvas, place)
        self.rest()
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=place)
        self.rest()
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=place)
        self.rest()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        first, last = self.spot(*start), self.spot(*end)
        QTest.mouseMove(self.canvas, first)
        self.rest()
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=first)
        self.rest()
        for share in (0.3, 0.6, 1.0):
            place = first + (last - first) * share
            self._move(place)
            self.rest()
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=last)
        self.rest()

    def _move(self, place: Any) -> None:
        """Move with the left button down, which QTest.mouseMove cannot."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        local = QPointF(place)
        QApplication.sendEvent(
            self.canvas,
            QMouseEvent(
                QEvent.Type.MouseMove,
                local,
                QPointF(self.canvas.mapToGlobal(place)),
                Qt.MouseButton.NoButton,
                Qt.MouseButton.LeftButton,
                Qt.KeyboardModifier.NoModifier,
            ),
        )

    def key(self, name: str, modifier: str = "NoModifier") -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        flags = Qt.KeyboardModifier.NoModifier
        for part in modifier.split("+"):
            flags |= getattr(Qt.KeyboardModifier, part)
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{name}"), flags)
        self.rest()

    def press(self, button: Any) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QCheckBox

        assert button.isEnabled(), f"the button '{button.text()}' is not enabled"
        place = button.rect().center()
        if isinstance(button, QCheckBox):  # may be wider than what can be clicked
            place = QPoint(9, place.y())
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)
        self.rest()


@pytest.fixture
def person() -> Iterator[Person]:
    """Return a person in front of a new viewer with the Segment widget."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 950)
    somebody = Person(viewer)
    yield somebody
    somebody.widget.current.end()
    viewer.close()
    for _ in range(20):
        QApplication.processEvents()
    gc.collect()

"""Several viewers in one process, of which each may lose layers without harm to the others."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.viewer import Viewer

_MARK = "samri_draws_for_itself"


def second_viewer(viewer: Viewer) -> Viewer:
    """Open another viewer, which may be closed without harm to the one in use."""
    other = napari.Viewer(title="SAMRI")
    for each in (viewer, other):
        draw_for_itself(each)
    return other


def draw_for_itself(viewer: ViewerModel) -> None:
    """Let the layers of a viewer be removed without harm to other viewers.

    Where layers are removed, as when a viewer is closed or a session ends, napari lets vispy
    delete what it has drawn them with in whichever OpenGL context is current. If that is another
    viewer's, objects of the same numbers are deleted there, and drawing it next ends the process.
    So the viewer's own context is made current first.
    """
    window = getattr(viewer, "window", None)
    if window is None:
        return
    for canvas in window._qt_window.findChildren(QWidget):  # no public way to the canvas
        # By what it can do: the class of widgets with a context lies elsewhere in each Qt.
        if hasattr(canvas, "makeCurrent") and not canvas.property(_MARK):
            canvas.setProperty(_MARK, True)
            viewer.layers.events.removing.connect(_Current(canvas), position="first")


class _Current:
    """Makes the context of a canvas current, as long as there is one."""

    def __init__(self, canvas: Any) -> None:
        self._canvas = canvas

    def __call__(self, *_: object) -> None:
        """Make it current, unless it was destroyed."""
        with suppress(RuntimeError):  # it was destroyed
            self._canvas.makeCurrent()

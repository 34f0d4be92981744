"""What napari's windows and docks need: ends with a dock, questions at the end, own contexts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QThread, QTimer
from qtpy.QtWidgets import QFileDialog, QMainWindow, QMessageBox, QScrollArea, QWidget

from napari_samri._napari import unsaved_labels
from napari_samri.errors import SamriError
from napari_samri.filenames import NIFTI_SUFFIXES, dialog_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.viewer import Viewer

    from napari_samri._napari import Unsaved

LABEL_FILES = dialog_filter("NIfTI", NIFTI_SUFFIXES)
_NAME = "samri guard"
_MARK = "samri_draws_for_itself"


class DockedWidget(QScrollArea):
    """Panels below each other, as wide as they need to be.

    The x of a dock removes the widget without closing it, and without an event for that. So a
    widget without a parent is closed, unless it is in another dock a moment later. Hiding a dock
    changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._was_docked = False
        self._alone = QTimer(self)
        self._alone.setSingleShot(True)
        self._alone.timeout.connect(self._end_alone)

    def event(self, event: Any) -> bool:
        """Notice when the widget is taken out of its dock."""
        if event.type() == QEvent.Type.ParentChange:
            docked = self.parent() is not None
            if self._was_docked and not docked:
                self._alone.start(0)
            self._was_docked = docked
        return bool(super().event(event))

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Be wide enough for all panels and the scroll bar, in any style."""
        size = super().minimumSizeHint()
        bar = self.verticalScrollBar().sizeHint().width()
        size.setWidth(self.widget().minimumSizeHint().width() + bar)
        return size

    def scroll(self, inside: QWidget) -> None:
        """Show a widget, and scroll through it where the dock is low."""
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def _end_alone(self) -> None:
        if self.parent() is None:
            self.close()
            self.deleteLater()


def guard_window(widget: QWidget, viewer: Viewer) -> None:
    """Ask before the window that contains a widget closes over unsaved labels."""
    window: Any = widget
    while window is not None and not isinstance(window, QMainWindow):
        window = window.parentWidget()
    if window is not None and window.findChild(QObject, _NAME) is None:
        window.installEventFilter(_Guard(window, viewer))


class _Guard(QObject):
    """Holds a window that is about to close; it is the window's own child."""

    def __init__(self, window: QMainWindow, viewer: Viewer) -> None:
        super().__init__(window)
        self.setObjectName(_NAME)
        self._viewer = ref(viewer)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  # Qt's name
        """Let a close event pass, or stop it."""
        if event.type() != QEvent.Type.Close or watched is not self.parent():
            return False
        viewer = self._viewer()
        if viewer is None or not _can_stay(watched):
            return False
        unsaved = unsaved_labels(viewer)
        if unsaved and not may_close(watched, unsaved):
            event.ignore()
            return True
        return False


def may_close(parent: QWidget, unsaved: Sequence[Unsaved]) -> bool:
    """Ask whether to save labels, and do so; return whether the window may close."""
    names = ", ".join(f"'{each.layer.name}'" for each in unsaved)
    buttons = QMessageBox.StandardButton
    answer = QMessageBox.question(
        parent,
        "Unsaved labels",
        f"{names}: changed, and not saved.\n\nWhat is not saved now is kept in the journal, and is "
        "offered when a session on the image begins again.",
        buttons.Save | buttons.Discard | buttons.Cancel,
        buttons.Save,
    )
    if answer == buttons.Save:
        return all(_saved(parent, each) for each in unsaved)
    return bool(answer == buttons.Discard)


def _saved(parent: QWidget, unsaved: Unsaved) -> bool:
    title = f"Save '{unsaved.layer.name}'"
    path, _ = QFileDialog.getSaveFileName(parent, title, str(unsaved.suggested), LABEL_FILES)
    if not path:
        return False
    try:
        unsaved.save(path)
    except SamriError as error:
        show_error(str(error))
        return False
    return True


def _can_stay(window: Any) -> bool:
    """Tell whether a question can be answered: the window is whole, and its event loop runs.

    A script that closes a viewer takes it apart first, or does so while no loop runs; a question
    would then block it forever.
    """
    if not QThread.currentThread().loopLevel():
        return False
    middle = window.centralWidget()
    if middle is None or not window.isVisible():
        return False
    direct = [child for child in middle.children() if isinstance(child, QWidget)]
    return bool(middle.isVisible()) and any(child.isVisible() for child in direct)


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

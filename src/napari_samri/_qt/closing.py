"""Asks before napari's window closes over labels that are in no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QObject, QThread
from qtpy.QtWidgets import QFileDialog, QMainWindow, QMessageBox, QWidget

from napari_samri._napari import unsaved_labels
from napari_samri.errors import SamriError
from napari_samri.filenames import NIFTI_SUFFIXES, dialog_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

    from napari_samri._napari import Unsaved

LABEL_FILES = dialog_filter("NIfTI", NIFTI_SUFFIXES)
_NAME = "samri guard"


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

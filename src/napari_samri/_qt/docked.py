"""A widget in a dock of napari's window, which ends with that dock."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QScrollArea, QWidget


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

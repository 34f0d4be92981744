"""How far embedding is, how to stop it, what was left out, and the way to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QListWidget,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

if TYPE_CHECKING:
    from napari_samri._napari.embed_run import Status

_STEPS = 1000
_LIST_HEIGHT = 120


class EmbedProgress(QWidget):
    """Buttons, a progress bar, a message, and a list of what was left out."""

    embed_clicked = Signal()
    cancel_clicked = Signal()
    open_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.embed = _button("Embed", "Embed what is not in the bank yet")
        self.cancel = _button(
            "Cancel", "Stop within one slice; what is done stays, and Embed goes on from there"
        )
        self.open = _button("Open result", "Show the bank's slices and labels as layers")
        self.embed.clicked.connect(self.embed_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.open.clicked.connect(self.open_clicked)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(12)
        self.text, self.message = _wrapped(), _wrapped()
        self.message.setStyleSheet("color: black; background-color: #ffb300; padding: 3px;")
        self.heading = _wrapped()
        self.problems = QListWidget()
        self.problems.setWordWrap(True)
        self.problems.setSpacing(2)
        self.problems.setMaximumHeight(_LIST_HEIGHT)
        self.problems.setToolTip("The rest was embedded")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column, button in enumerate((self.embed, self.cancel, self.open)):
            layout.addWidget(button, 0, column)
        rows = (self.bar, self.text, self.message, self.heading, self.problems)
        for row, widget in enumerate(rows, start=1):
            layout.addWidget(widget, row, 0, 1, 3)

    def show_status(self, status: Status, can_open: bool) -> None:
        """Show how far it is; emits nothing."""
        self.embed.setEnabled(not status.busy)
        self.cancel.setEnabled(status.busy and status.phase != "stopping")
        self.open.setEnabled(can_open)
        failed = status.phase == "failed"
        _show_text(self.text, "" if failed else status.text)
        _show_text(self.message, status.text if failed else "")
        self._show_bar(status)
        self._show_problems(status.problems)

    def show_error(self, text: str) -> None:
        """Show what went wrong, in full."""
        _show_text(self.message, text)

    def _show_bar(self, status: Status) -> None:
        known = status.total > 0
        # A bar without a maximum moves by itself.
        self.bar.setMaximum(0 if status.busy and not known else _STEPS)
        self.bar.setValue(round(_STEPS * status.done / status.total) if known else 0)

    def _show_problems(self, problems: tuple[str, ...]) -> None:
        if self.problems.count() > len(problems):
            self.problems.clear()
        # Only what is new, since the same list comes with every slice.
        self.problems.addItems(list(problems[self.problems.count() :]))
        count = len(problems)
        _show_text(self.heading, f"Left out or noted ({count:,}):" if count else "")
        self.problems.setVisible(bool(count))


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _show_text(label: QLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))

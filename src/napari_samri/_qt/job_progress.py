"""How far work is, how to stop it, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from napari_samri.work import Status

_STEPS = 1000
_LIST_HEIGHT = 120


class JobProgress(QWidget):
    """Buttons, a progress bar, a message, and a list of what was left out.

    Parameters
    ----------
    problems_tip : str
        What became of the rest.
    **buttons : QPushButton
        In one row. All but ``cancel`` wait until nothing goes on.
    """

    def __init__(self, problems_tip: str, **buttons: QPushButton) -> None:
        super().__init__()
        self.buttons = buttons
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(12)
        self.text, self.message = wrapped(), wrapped()
        self.message.setStyleSheet("color: black; background-color: #ffb300; padding: 3px;")
        self.heading = wrapped()
        self.problems = QListWidget()
        self.problems.setWordWrap(True)
        self.problems.setSpacing(2)
        self.problems.setMaximumHeight(_LIST_HEIGHT)
        self.problems.setToolTip(problems_tip)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column, button in enumerate(buttons.values()):
            layout.addWidget(button, 0, column)
        rows = (self.bar, self.text, self.message, self.heading, self.problems)
        for row, widget in enumerate(rows, start=1):
            layout.addWidget(widget, row, 0, 1, len(buttons))

    def show_progress(self, status: Status) -> None:
        """Show how far it is, and what can be done now; emits nothing."""
        for name, each in self.buttons.items():
            can_stop = status.busy and status.phase != "stopping"
            each.setEnabled(can_stop if name == "cancel" else not status.busy)
        failed = status.phase == "failed"
        show_text(self.text, "" if failed else status.text)
        show_text(self.message, status.text if failed else "")
        self._show_bar(status)
        self._show_problems(status.problems)

    def show_error(self, text: str) -> None:
        """Show what went wrong, in full."""
        show_text(self.message, text)

    def show_note(self, text: str) -> None:
        """Show what has been done, in place of how far it is."""
        show_text(self.text, text)

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
        show_text(self.heading, f"Left out or noted ({count:,}):" if count else "")
        self.problems.setVisible(bool(count))


def button(text: str, tip: str) -> QPushButton:
    """Return a button with a tooltip."""
    made = QPushButton(text)
    made.setToolTip(tip)
    return made


def wrapped() -> QLabel:
    """Return a label that breaks its lines, however narrow the widget is."""
    label = QLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def show_text(label: QLabel, text: str) -> None:
    """Show a text, or hide the label if there is none."""
    label.setText(text)
    label.setVisible(bool(text))

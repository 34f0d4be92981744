"""Progress, its Cancel button, messages, and unsaved work that a crash left behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QWidget

if TYPE_CHECKING:
    from napari_samri.jobs import Progressed

_STEPS = 1000
# Between one slice and the next nothing runs for a moment, which is not worth showing.
_REST_MS = 300


class StatusPanel(QWidget):
    """A progress bar with Cancel, and a banner for work found."""

    cancel_clicked = Signal()
    restore_clicked = Signal()
    discard_clicked = Signal()
    resample_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.banner = QLabel()
        self.banner.setWordWrap(True)
        self.restore = QPushButton("Restore")
        self.restore.setToolTip("Take up the labels and prompts that were not saved")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete that work for good")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.message.setStyleSheet("color: black; background-color: #ffb300; padding: 3px;")
        self.resample = QPushButton("Resample onto the image")
        self.resample.setToolTip(
            "Make a new layer of these labels on the image's grid, by nearest neighbours"
        )
        self.text = QLabel("")
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(12)
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.setInterval(_REST_MS)
        self._resting.timeout.connect(lambda: self._show(None))
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop loading, encoding and embedding ahead")
        self.restore.clicked.connect(self.restore_clicked)
        self.discard.clicked.connect(self.discard_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.resample.clicked.connect(self.resample_clicked)
        self._lay_out()
        self._show(None)
        self.show_message("")
        self.show_recovered(None)

    def _lay_out(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.banner, 0, 0, 1, 3)
        layout.addWidget(self.restore, 1, 0)
        layout.addWidget(self.discard, 1, 1)
        layout.addWidget(self.text, 2, 0, 1, 3)
        layout.addWidget(self.bar, 3, 0, 1, 2)
        layout.addWidget(self.cancel, 3, 2)
        layout.addWidget(self.message, 4, 0, 1, 3)
        layout.addWidget(self.resample, 5, 0, 1, 2)

    def show_activity(self, activity: Progressed | None) -> None:
        """Show what is under way, or, after a moment, that nothing is."""
        if activity is None:
            self._resting.start()
        else:
            self._resting.stop()
            self._show(activity)

    def show_message(self, text: str) -> None:
        """Show what went wrong, in full, or nothing."""
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.resample.hide()

    def offer_resampling(self) -> None:
        """Offer to resample labels, as long as the message that refuses them is shown."""
        self.resample.show()

    def _show(self, activity: Progressed | None) -> None:
        self.cancel.setEnabled(activity is not None)
        self.text.setText(activity.what if activity is not None else "")
        known = activity is not None and activity.total > 0
        # A bar without a maximum shows that something runs, not how far it is.
        self.bar.setMaximum(0 if activity is not None and not known else _STEPS)
        if activity is not None and known:
            self.bar.setValue(round(_STEPS * activity.done / activity.total))
        else:
            self.bar.setValue(0)

    def show_recovered(self, seconds: float | None) -> None:
        """Offer unsaved work, written at a time in seconds since 1970, or nothing."""
        for widget in (self.banner, self.restore, self.discard):
            widget.setVisible(seconds is not None)
        if seconds is not None:
            when = time.strftime("%d %b %Y, %H:%M", time.localtime(seconds))
            self.banner.setText(f"Unsaved work of {when} on this image was found.")

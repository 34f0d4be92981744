"""How far training is, how to stop it, and what to do with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal

from napari_samri._qt.job_progress import JobProgress, button

if TYPE_CHECKING:
    from napari_samri._napari import Status


class FinetuneProgress(JobProgress):
    """The progress of training, with its buttons."""

    estimate_clicked = Signal()
    train_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self) -> None:
        self.estimate = button(
            "Estimate", "Measure a few steps: how long it will take, and how much memory"
        )
        self.train = button("Fine-tune", "Train; goes on with a run that was cancelled")
        self.cancel = button("Cancel", "Stop within seconds; the best so far is kept")
        super().__init__((self.train, self.estimate, self.cancel))
        self.estimate.clicked.connect(self.estimate_clicked)
        self.train.clicked.connect(self.train_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)

    def show_status(self, status: Status) -> None:
        """Show how far it is; emits nothing."""
        self.train.setEnabled(not status.busy)
        self.estimate.setEnabled(not status.busy)
        self.cancel.setEnabled(status.busy and status.phase != "stopping")
        self.show_progress(status)

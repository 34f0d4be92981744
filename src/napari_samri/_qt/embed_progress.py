"""How far embedding is, how to stop it, what was left out, and the way to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal

from napari_samri._qt.job_progress import JobProgress, button

if TYPE_CHECKING:
    from napari_samri._napari import Status


class EmbedProgress(JobProgress):
    """The progress of embedding, with its buttons."""

    embed_clicked = Signal()
    cancel_clicked = Signal()
    open_clicked = Signal()

    def __init__(self) -> None:
        self.embed = button("Embed", "Embed what is not in the bank yet")
        self.cancel = button(
            "Cancel", "Stop within one slice; what is done stays, and Embed goes on from there"
        )
        self.open = button("Open result", "Show the bank's slices and labels as layers")
        super().__init__((self.embed, self.cancel, self.open))
        self.embed.clicked.connect(self.embed_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.open.clicked.connect(self.open_clicked)

    def show_status(self, status: Status, can_open: bool) -> None:
        """Show how far it is; emits nothing."""
        self.embed.setEnabled(not status.busy)
        self.cancel.setEnabled(status.busy and status.phase != "stopping")
        self.open.setEnabled(can_open)
        self.show_progress(status)

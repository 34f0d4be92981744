"""The Embed widget: training sets into banks, and the volume in view into the Segment's cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QPushButton

from napari_samri._napari import bank_layers, image_in_view, show_bank, warm_task
from napari_samri._qt.embed_form import EmbedForm
from napari_samri._qt.job_progress import JobProgress, button
from napari_samri._qt.job_widget import JobWidget
from napari_samri._qt.relay import relay_steps, run_elsewhere
from napari_samri._qt.window import second_viewer
from napari_samri.errors import SamriError
from napari_samri.work import Background, EmbedTask, WarmTask, suggested_bank

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_samri.work import Status


class EmbedWidget(JobWidget):
    """Embeds data sets and layers into a bank, or the volume in view into the cache.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    form: EmbedForm

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.form = EmbedForm(self.settings.device, self.settings.keep_running)
        self.progress = JobProgress(
            "The rest was embedded",
            embed=button("Embed", "Embed what is not in the bank yet"),
            cancel=button(
                "Cancel", "Stop within one slice; what is done stays, and Embed goes on from there"
            ),
            open=button("Open result", "Show the bank's slices and labels as layers"),
        )
        self.warm = QPushButton()
        self.warm.setToolTip(
            "Embed every slice of the selected image along the axis in view, so that the Segment "
            "widget, with the same model, never has to wait for one"
        )
        kinds = (EmbedTask.id, WarmTask.id)
        self.job = Background(relay_steps, kinds, keep=self.settings.keep_running)
        heading = QLabel("For the Segment widget")
        self.stack((self.models, self.form, self.progress, heading, self.warm))
        self.wire()
        self.progress.buttons["embed"].clicked.connect(self.embed)
        self.progress.buttons["open"].clicked.connect(self.open_result)
        self.warm.clicked.connect(self.embed_volume)
        self.form.source_changed.connect(self._suggest)
        self.begin()

    # Intents

    def embed(self) -> None:
        """Embed what the form says."""
        self._attempt(self._start)

    def embed_volume(self) -> None:
        """Embed all slices of the volume in view for the Segment widget."""
        how = self.form.given(WarmTask)
        self._attempt(lambda: self.job.start(*warm_task(self.viewer, self.model, **how)))

    def open_result(self) -> None:
        """Show the bank as layers: here, or where there is something else in a new viewer."""
        bank = self.bank
        if bank is not None:
            run_elsewhere(partial(bank_layers, bank), self._show_bank, self._tell)

    # Inside

    @property
    def bank(self) -> Path | None:
        """The bank that is there to be opened."""
        status = self.job.status
        return status.made.bank if status.phase == "finished" else None

    def _start(self) -> None:
        layers = self.form.source.value == "layers"
        pair = self.form.pair() if layers else None
        task = self.form.task(self.model)
        self.job.start(task, pair.embedded(task) if pair is not None else None)

    def _suggest(self) -> None:
        form = self.form
        try:
            layers = form.source.value == "layers"
            form.suggest(form.pair().bank if layers else suggested_bank(form.path()))
        except SamriError:  # not all is chosen yet
            return

    def _show(self, status: Status) -> None:
        super()._show(status)
        self.progress.buttons["open"].setEnabled(self.bank is not None)
        self._show_warm()

    def _show_layers(self) -> None:
        super()._show_layers()
        self._show_warm()

    def _show_warm(self) -> None:
        image = image_in_view(self.viewer)
        self.warm.setEnabled(image is not None and not self.job.status.busy)
        self.warm.setText("Embed this volume" if image is None else f"Embed '{image.name}'")

    def _show_bank(self, layers: list[Any]) -> None:
        # Rows of a bank and a volume in millimetres do not go together in one viewer.
        viewer = second_viewer(self.viewer) if len(self.viewer.layers) else self.viewer
        show_bank(viewer, layers)

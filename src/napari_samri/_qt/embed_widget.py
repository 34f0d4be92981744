"""The Embed widget: training sets into banks, and the volume in view into the Segment's cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QPushButton

from napari_samri._napari import (
    EmbeddingJob,
    EmbedRequest,
    bank_layers,
    bank_path,
    existing_source,
    image_in_view,
    layer_pair,
    show_bank,
    suggested_bank,
    warm_request,
)
from napari_samri._qt.embed_form import EmbedForm
from napari_samri._qt.embed_progress import EmbedProgress
from napari_samri._qt.job_widget import JobWidget
from napari_samri._qt.relay import relay_steps, run_elsewhere
from napari_samri._qt.second_viewer import second_viewer
from napari_samri.errors import SamriError

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_samri._napari import LayerPair, Status
    from napari_samri._qt.embed_form import Choices


class EmbedWidget(JobWidget):
    """Embeds data sets and layers into a bank, or the volume in view into the cache.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    job: EmbeddingJob
    form: EmbedForm
    progress: EmbedProgress

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.form = EmbedForm(self.settings.device, self.settings.keep_running)
        self.progress = EmbedProgress()
        self.warm = QPushButton()
        self.warm.setToolTip(
            "Embed every slice of the selected image along the axis in view, so that the Segment "
            "widget, with the same model, never has to wait for one"
        )
        self.job = EmbeddingJob(relay_steps, keep=self.settings.keep_running)
        heading = QLabel("For the Segment widget")
        self.stack((self.models, self.form, self.progress, heading, self.warm))
        self.wire()
        self.progress.embed_clicked.connect(self.embed)
        self.progress.cancel_clicked.connect(self.job.cancel)
        self.progress.open_clicked.connect(self.open_result)
        self.warm.clicked.connect(self.embed_volume)
        self.form.source_changed.connect(self._suggest)
        self.begin()

    # Intents

    def embed(self) -> None:
        """Embed what the form says."""
        self._attempt(lambda: self.job.start(self._request()))

    def embed_volume(self) -> None:
        """Embed all slices of the volume in view for the Segment widget."""
        device = self.form.choices.device
        self._attempt(lambda: self.job.start(warm_request(self.viewer, self.model, device)))

    def open_result(self) -> None:
        """Show the bank as layers: here, or where there is something else in a new viewer."""
        bank = self.job.bank
        if bank is not None:
            run_elsewhere(partial(bank_layers, bank), self._show_bank, self._tell)

    # Inside

    def _request(self) -> EmbedRequest:
        choices = self.form.choices
        return EmbedRequest(
            source=_source(choices),
            out=bank_path(choices.out),
            model=self.model,
            device=choices.device,
            quantisation=choices.quantisation,
            workers=choices.workers,
            layout=choices.layout,
            patient_pattern=choices.patient_pattern,
            channel=choices.channel,
        )

    def _suggest(self) -> None:
        try:
            self.form.suggest(suggested_bank(_source(self.form.choices)))
        except SamriError:  # not all is chosen yet
            return

    def _show(self, status: Status) -> None:
        self.progress.show_status(status, self.job.bank is not None)
        super()._show(status)
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


def _source(choices: Choices) -> Path | LayerPair:
    match choices.source:
        case "folder":
            return existing_source(choices.folder)
        case "manifest":
            return existing_source(choices.manifest)
        case "layers":
            return layer_pair(choices.image, choices.labels)

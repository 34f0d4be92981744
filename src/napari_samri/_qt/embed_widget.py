"""The Embed widget: training sets into banks, and the volume in view into the Segment's cache."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Image, Labels
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_samri._napari.bank_layers import bank_layers
from napari_samri._napari.bank_view import is_of_bank, show_bank
from napari_samri._napari.connections import Connections
from napari_samri._napari.embed_request import (
    EmbedRequest,
    bank_path,
    existing_source,
    image_in_view,
    layer_pair,
    suggested_bank,
    warm_request,
)
from napari_samri._napari.embedding_job import EmbeddingJob
from napari_samri._napari.layers import is_usable
from napari_samri._napari.preferences import current_settings
from napari_samri._qt.embed_form import EmbedForm
from napari_samri._qt.embed_progress import EmbedProgress
from napari_samri._qt.model_panel import ModelPanel
from napari_samri._qt.relay import relay_steps, run_elsewhere
from napari_samri.errors import SamriError
from napari_samri.session.settings import write_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_samri._napari.embed_request import LayerPair
    from napari_samri._napari.embed_run import Status
    from napari_samri._qt.embed_form import Choices


class EmbedWidget(QScrollArea):
    """Embeds data sets and layers into a bank, or the volume in view into the cache.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.settings = current_settings()
        self.model = self.settings.model
        self.models = ModelPanel()
        self.form = EmbedForm(self.settings.device, self.settings.keep_running)
        self.progress = EmbedProgress()
        self.warm = QPushButton()
        self.warm.setToolTip(
            "Embed every slice of the selected image along the axis in view, so that the Segment "
            "widget, with the same model, never has to wait for one"
        )
        self.job = EmbeddingJob(relay_steps, keep=self.settings.keep_running)
        self._connections = Connections()
        self._lay_out()
        self._wire()
        self.models.show_model(self.model)
        self._show_layers()
        self._show(self.job.status)
        self.job.attach()

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Be wide enough for all panels, in whatever style, beside the scroll bar."""
        size = super().minimumSizeHint()
        bar = self.verticalScrollBar().sizeHint().width()
        size.setWidth(self.widget().minimumSizeHint().width() + bar)
        return size

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Let go of the viewer; what runs goes on or ends, as chosen."""
        self._leave()
        super().closeEvent(event)

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

    def _lay_out(self) -> None:
        self.models.status.hide()  # nothing runs in the viewer's own model here
        self.models.layout().setColumnMinimumWidth(0, self.form.label_width)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        for panel in (self.models, self.form, self.progress):
            layout.addWidget(panel)
        heading = QLabel("For the Segment widget")
        layout.addWidget(heading)
        layout.addWidget(self.warm)
        layout.addStretch(1)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def _wire(self) -> None:
        self.models.chosen.connect(self._use_model)
        self.progress.embed_clicked.connect(self.embed)
        self.progress.cancel_clicked.connect(self.job.cancel)
        self.progress.open_clicked.connect(self.open_result)
        self.warm.clicked.connect(self.embed_volume)
        self.form.source_changed.connect(self._suggest)
        self.form.keep_changed.connect(self._remember_keep)
        self._connections.add(self.job.changed, self._show)
        # Layers are looked at when napari is done with adding them, which selects them too.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show_layers)
        layers = self.viewer.layers
        for event in (
            *(layers.events.inserted, layers.events.removed),
            layers.selection.events.active,
        ):
            self._connections.add(event, lambda *_: self._later.start())
        self._leave = _Farewell(self.job, self._connections)
        self.destroyed.connect(self._leave)  # without a close event
        QApplication.instance().aboutToQuit.connect(self._leave)

    def _request(self) -> EmbedRequest:
        choices = self.form.choices
        return EmbedRequest(
            source=_source(choices),
            out=bank_path(choices.out),
            model=self.model,
            device=choices.device,
            quantisation=choices.quantisation,
            workers=choices.workers,
        )

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do something; a refusal is a line in the widget."""
        try:
            action()
        except SamriError as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Tell of an error; one that is a fault of ours surfaces."""
        if not isinstance(error, SamriError):
            raise error
        self.progress.show_error(str(error))

    def _use_model(self, model: str) -> None:
        self.model = model

    def _remember_keep(self, keep: bool) -> None:
        self.job.keep = keep
        self.settings = replace(self.settings, keep_running=keep)
        write_settings(self.settings)

    def _suggest(self) -> None:
        try:
            self.form.suggest(suggested_bank(_source(self.form.choices)))
        except SamriError:  # not all is chosen yet
            return

    def _show(self, status: Status) -> None:
        self.progress.show_status(status, self.job.bank is not None)
        self.form.lock(status.busy)
        self.models.setEnabled(not status.busy)
        self._show_warm()

    def _show_layers(self) -> None:
        layers = [each for each in self.viewer.layers if not is_of_bank(each)]
        images = [each for each in layers if isinstance(each, Image) and is_usable(each)]
        self.form.show_layers(images, [each for each in layers if isinstance(each, Labels)])
        self._show_warm()

    def _show_warm(self) -> None:
        image = image_in_view(self.viewer)
        self.warm.setEnabled(image is not None and not self.job.status.busy)
        self.warm.setText("Embed this volume" if image is None else f"Embed '{image.name}'")

    def _show_bank(self, layers: list[Any]) -> None:
        # Rows of a bank and a volume in millimetres do not go together in one viewer.
        viewer = napari.Viewer(title="SAMRI") if len(self.viewer.layers) else self.viewer
        show_bank(viewer, layers)


class _Farewell:
    """Disconnects a widget that may be destroyed already, once."""

    def __init__(self, job: EmbeddingJob, connections: Connections) -> None:
        self._job, self._connections = job, connections

    def __call__(self, *_: object) -> None:
        """Do it."""
        with suppress(TypeError, RuntimeError):  # it was done
            QApplication.instance().aboutToQuit.disconnect(self)
        self._connections.close()
        self._job.close()


def _source(choices: Choices) -> Path | LayerPair:
    match choices.source:
        case "folder":
            return existing_source(choices.folder)
        case "manifest":
            return existing_source(choices.manifest)
        case "layers":
            return layer_pair(choices.image, choices.labels)

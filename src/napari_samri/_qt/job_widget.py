"""A widget whose work runs in processes of their own: what all of them do alike."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_samri._napari import Connections, current_settings, images_of, labels_of
from napari_samri._qt.model_panel import ModelPanel
from napari_samri._qt.window import DockedWidget
from napari_samri.errors import SamriError
from napari_samri.session import write_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari

    from napari_samri._qt.form import JobForm
    from napari_samri._qt.job_progress import JobProgress
    from napari_samri.work import Background, Status


class JobWidget(DockedWidget):
    """A model, a form, and a job that is watched, in a viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    job: Background
    form: JobForm
    progress: JobProgress

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.settings = current_settings()
        self.model = self.settings.model
        self.models = ModelPanel()
        self._connections = Connections()

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Let go of the viewer; what runs goes on or ends, as chosen."""
        self._leave()
        super().closeEvent(event)

    def begin(self) -> None:
        """Show what there is, and find what runs already; the last step of a subclass."""
        self.models.show_model(self.model)
        self._show_layers()
        self._show(self.job.status)
        self.job.attach()

    def stack(self, panels: Sequence[QWidget]) -> None:
        """Lay out panels below each other."""
        self.models.status.hide()  # nothing runs in the viewer's own model here
        self.models.layout().setColumnMinimumWidth(0, self.form.label_width)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        for panel in panels:
            layout.addWidget(panel)
        layout.addStretch(1)
        self.scroll(inside)

    def wire(self) -> None:
        """Connect what all such widgets have."""
        self.models.chosen.connect(self._use_model)
        self.form.keep_changed.connect(self._remember_keep)
        self.progress.buttons["cancel"].clicked.connect(self.job.cancel)
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
        # Another widget may have changed the others meanwhile.
        write_settings(replace(current_settings(), keep_running=keep))

    def _show(self, status: Status) -> None:
        self.form.lock(status.busy)
        self.progress.show_progress(status)
        self.models.setEnabled(not status.busy)

    def _show_layers(self) -> None:
        self.form.show_layers(images_of(self.viewer), labels_of(self.viewer))


class _Farewell:
    """Disconnects a widget that may be destroyed already, once."""

    def __init__(self, job: Background, connections: Connections) -> None:
        self._job, self._connections = job, connections

    def __call__(self, *_: object) -> None:
        """Let go of the viewer and the job."""
        with suppress(TypeError, RuntimeError):  # it was done
            QApplication.instance().aboutToQuit.disconnect(self)
        self._connections.close()
        self._job.close()

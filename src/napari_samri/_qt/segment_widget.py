"""The Segment widget: which image, which labels, which model; and the session on them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from napari_samri._napari import (
    Connections,
    CurrentSession,
    current_settings,
    labels_of,
    layer_data,
    model_chosen,
    source_of,
    volume_name,
)
from napari_samri._qt.image_panel import ImagePanel
from napari_samri._qt.model_panel import ModelPanel
from napari_samri._qt.relay import open_in_window, run_elsewhere
from napari_samri._qt.session_panel import SessionPanel
from napari_samri._qt.window import LABEL_FILES, DockedWidget, guard_window
from napari_samri.errors import SamriError, TooLargeError
from napari_samri.filenames import DICOM_SUFFIXES, NIFTI_SUFFIXES, dialog_filter
from napari_samri.io import load_volume
from napari_samri.session import write_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Labels

    from napari_samri._napari import Annotation
    from napari_samri.session import SaveJob

IMAGE_FILES = f"{dialog_filter('Images', (*NIFTI_SUFFIXES, *DICOM_SUFFIXES))};;All files (*)"
NO_LABELS = "There are no labels to save; choose or open an image first."


class SegmentWidget(DockedWidget):
    """Annotates one image of a viewer by prompts.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.settings = current_settings()
        self.current = CurrentSession(napari_viewer, self._begin)
        self._connections = Connections()  # with what outlives a session
        self._with_annotation = Connections()
        self.images, self.models, self.session = ImagePanel(), ModelPanel(), SessionPanel()
        self._lay_out()
        self._wire()
        self.models.show_model(self.settings.model)
        self.session.masks.show_post(self.settings.largest_component, self.settings.fill_holes)
        self.current.follow_layers()

    @property
    def annotation(self) -> Annotation | None:
        """The annotation that is under way, if there is one."""
        return self.current.annotation

    def showEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Ask before the window closes over unsaved labels."""
        guard_window(self, self.viewer)
        super().showEvent(event)

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Disconnect everything."""
        _disconnect(self.__dict__)
        super().closeEvent(event)

    # Intents

    def open_image(self, path: Path | str, max_voxels: int | None = None) -> None:
        """Load an image with our own reader, on another thread, and annotate it."""

        def load() -> Any:
            return layer_data(load_volume(source_of(path), max_voxels=max_voxels))

        def refused(error: Exception) -> None:
            if isinstance(error, TooLargeError) and self._allows(path, error):
                self.open_image(path, error.voxels)
            else:
                self._show_failure(error)

        run_elsewhere(load, self._add_layer, refused)

    def save(self, path: Path | str) -> None:
        """Save the labels, on another thread."""
        annotation = self.annotation
        if annotation is None:
            show_info(NO_LABELS)
            return
        try:
            job = annotation.prepare_save(path)
        except SamriError as error:
            self.session.show_error(error)
            return
        saved = partial(_saved, annotation, job)
        run_elsewhere(job.run, saved, self._show_failure)

    # Inside

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        for panel in (self.images, self.models, self.session):
            layout.addWidget(panel)
        layout.addStretch(1)
        self.scroll(inside)

    def _wire(self) -> None:
        current, add = self.current, self._connections.add
        self.images.chosen.connect(current.use_image)
        self.images.labels_chosen.connect(current.use_labels)
        self.images.insisted.connect(current.insist)
        self.images.open_clicked.connect(self._ask_for_image)
        self.models.chosen.connect(self._use_model)
        self.session.post_changed.connect(self._set_post)
        self.session.save_clicked.connect(self._ask_where_to_save)
        self.session.status.resample_clicked.connect(current.resample_labels)
        # Layers are looked at when napari is done with adding them, which selects them too.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(current.follow_layers)
        add(current.outdated, self._later.start)
        add(current.begun, self._show_session)
        add(current.ended, self._show_end)
        add(current.refused, self._show_refusal)
        add(current.reported, self._show_text)
        add(current.noted, show_info)
        add(current.listed, self._show_layers)
        add(model_chosen, self._take_choice)
        self.destroyed.connect(partial(_disconnect, self.__dict__))

    def _begin(self, image: Image, labels: Labels | None, tell: Callable[[str], None]) -> Any:
        return open_in_window(self.viewer, image, self.settings, labels, tell=tell)

    def _show_session(self, annotation: Annotation) -> None:
        add, scheduler = self._with_annotation.add, annotation.scheduler
        add(scheduler.loaded, lambda _: self._show_model())
        add(scheduler.failed, lambda _: self.models.show_model(scheduler.choice.model))
        self.session.attach(annotation)
        annotation.session.set_post(self.settings.post)
        if scheduler.info is not None:
            self._show_model()
        elif not scheduler.busy:
            self._use_model(self.settings.model)

    def _show_end(self) -> None:
        self._with_annotation.close()
        self.session.detach()

    def _show_refusal(self, error: SamriError, resampling_helps: bool) -> None:
        self._show_layers()
        self.session.show_error(error)
        if resampling_helps:
            self.session.status.offer_resampling()

    def _show_text(self, text: str) -> None:
        """Say what became of labels: in the panel too, where it stays a while."""
        self.session.status.show_message(text)
        show_info(text)

    def _show_layers(self) -> None:
        annotation = self.annotation
        images = [layer for layer in self.viewer.layers if isinstance(layer, Image)]
        self.images.show_images(images, annotation.image if annotation else None)
        labels = annotation.canvas.labels if annotation else None
        self.images.show_labels(labels_of(self.viewer), labels)
        self.images.show_doubtful(self.current.doubtful)

    def _use_model(self, model: str) -> None:
        if self.annotation is not None:
            self.annotation.scheduler.load(replace(self.settings, model=model).model_choice)

    def _take_choice(self, viewer: Any, model: str) -> None:
        """Show a model that was chosen elsewhere; what is annotated uses it already."""
        if viewer is self.viewer:
            self.settings = replace(self.settings, model=model)
            self.models.show_model(model)

    def _show_model(self) -> None:
        if self.annotation is None or self.annotation.scheduler.info is None:
            return
        model = self.annotation.scheduler.choice.model
        self.models.show_info(self.annotation.scheduler.info)
        self.models.show_model(model)
        self.settings = replace(self.settings, model=model)
        write_settings(self.settings)

    def _set_post(self, largest: bool, holes: bool) -> None:
        self.settings = replace(self.settings, largest_component=largest, fill_holes=holes)
        write_settings(self.settings)
        if self.annotation is not None:
            self.session.attempt(partial(self.annotation.session.set_post, self.settings.post))

    def _ask_for_image(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open an image", "", IMAGE_FILES)
        if path:
            self.open_image(path)

    def _allows(self, path: Path | str, error: TooLargeError) -> bool:
        text = f"{Path(path).name} has {error.voxels:,} voxels. Open it anyway?"
        answer = QMessageBox.question(self, "A large image", text)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _ask_where_to_save(self) -> None:
        if self.annotation is None:
            show_info(NO_LABELS)
            return
        volume = self.annotation.session.volume
        name = f"{volume_name(volume)}_labels.nii.gz"
        source = volume.grid.path
        where = source.with_name(name) if source is not None else Path(name)
        path, _ = QFileDialog.getSaveFileName(self, "Save labels", str(where), LABEL_FILES)
        if path:
            self.save(path)

    def _add_layer(self, data: tuple[Any, dict[str, Any], str]) -> None:
        array, options, kind = data
        if kind == "labels":
            self.viewer.add_labels(array, **options)
            show_info("This file holds labels; choose them beside 'Labels', on their image.")
            return
        self.current.use_image(self.viewer.add_image(array, **options))

    def _show_failure(self, error: Exception) -> None:
        """Show an error of another thread; one that is a fault of ours surfaces."""
        if not isinstance(error, SamriError):
            raise error
        self.session.show_error(error)


def _saved(annotation: Annotation, job: SaveJob, problem: str) -> None:
    annotation.mark_saved(job)
    if problem:
        show_warning(problem)
    else:
        show_info(f"Saved {job.path}")


def _disconnect(parts: dict[str, Any]) -> None:
    """Disconnect a widget that may be destroyed already, known by its attributes."""
    parts["_connections"].close()
    parts["_with_annotation"].close()
    parts["session"].disconnect_all()
    parts["current"].close()

"""The Segment widget: which image, which labels, which model; and the session on them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from napari_samri._napari import (
    Connections,
    as_labels_layer,
    check_layers,
    current_settings,
    doubt,
    images_of,
    labels_of,
    labels_on_image,
    layer_data,
    may_be_labels,
    model_chosen,
    new_labels,
    source_of,
    use_as_image,
    volume_name,
)
from napari_samri._qt.closing import LABEL_FILES, guard_window
from napari_samri._qt.docked import DockedWidget
from napari_samri._qt.image_panel import ImagePanel
from napari_samri._qt.model_panel import ModelPanel
from napari_samri._qt.relay import run_elsewhere
from napari_samri._qt.session_panel import SessionPanel
from napari_samri._qt.start import open_annotation
from napari_samri.errors import OtherGridError, SamriError, TooLargeError
from napari_samri.filenames import DICOM_SUFFIXES, NIFTI_SUFFIXES, dialog_filter
from napari_samri.io import load_volume
from napari_samri.segment import PostProcessing
from napari_samri.session import prepare_save, write_settings

if TYPE_CHECKING:
    import napari

    from napari_samri._napari import Annotation
    from napari_samri.session import SaveJob, Settings

IMAGE_FILES = f"{dialog_filter('Images', (*NIFTI_SUFFIXES, *DICOM_SUFFIXES))};;All files (*)"


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
        self.annotation: Annotation | None = None
        self._with_viewer, self._with_annotation = Connections(), Connections()
        self._farewell = ""
        self._elsewhere: tuple[Image | None, Labels | None] = (None, None)
        self.images, self.models, self.session = ImagePanel(), ModelPanel(), SessionPanel()
        self._lay_out()
        self._wire()
        self.models.show_model(self.settings.model)
        self.session.masks.show_post(self.settings.largest_component, self.settings.fill_holes)
        self._follow_layers()

    def showEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Let nobody close the window over unsaved labels without being asked."""
        guard_window(self, self.viewer)
        super().showEvent(event)

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Disconnect everything."""
        _let_go(self.__dict__)
        super().closeEvent(event)

    # Intents

    def use_image(self, image: Image | None, labels: Labels | None = None) -> None:
        """Annotate an image layer, or none; what was annotated before is closed.

        Parameters
        ----------
        image : napari.layers.Image or None
        labels : napari.layers.Labels, optional
            Labels to go on with; by default those of an earlier session on the image, if they
            are still there, else a new layer.
        """
        self.images.show_doubtful(None)
        if image is not None and may_be_labels(image):
            self.images.show_doubtful(image)
            self._show_layers()
            self.session.show_error(doubt(image))
            return
        before = self.annotation
        if before is not None and before.image is image and labels is None:
            return
        try:
            if image is not None:
                check_layers(image, labels)
        except SamriError as error:
            self._refuse(image, labels, error)
            return
        with self._with_viewer.muted():  # our own layers are none of the news
            self.close_annotation()
            refusal = self._refused(image, labels)
            if refusal is not None and before is not None:
                self._refused(before.image, before.link.canvas.labels)
        self._show_layers()
        if refusal is not None:
            self.session.show_error(refusal)

    def resample_labels(self) -> None:
        """Bring the labels that were refused last onto their image, and go on with these."""
        image, labels = self._elsewhere
        if image not in self.viewer.layers or labels not in self.viewer.layers:
            show_info("These layers are not there any more.")
            return
        try:
            with self._with_viewer.muted():
                made, told = labels_on_image(self.viewer, image, labels)
        except SamriError as error:
            self.session.show_error(error)
            return
        self.use_image(image, made)
        self._say(told)

    def open_image(self, path: Path | str, max_voxels: int | None = None) -> None:
        """Load an image with our own reader, off the window's thread, and annotate it."""

        def load() -> Any:
            return layer_data(load_volume(source_of(path), max_voxels=max_voxels))

        def refused(error: Exception) -> None:
            if isinstance(error, TooLargeError) and self._allows(path, error):
                self.open_image(path, error.voxels)
            else:
                self._tell(error)

        run_elsewhere(load, self._add_layer, refused)

    def save(self, path: Path | str) -> None:
        """Save the labels, off the window's thread."""
        annotation = self.annotation
        if annotation is None:
            show_info("There are no labels to save; choose or open an image first.")
            return
        try:
            annotation.link.read_labels()
            job = prepare_save(annotation.session, path)
        except SamriError as error:
            self.session.show_error(error)
            return
        run_elsewhere(job.run, lambda problem: _saved(annotation, job, problem), self._tell)

    def close_annotation(self) -> None:
        """End the session; labels stay."""
        _end(self.__dict__)
        self.session.detach()

    # Inside

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        for panel in (self.images, self.models, self.session):
            layout.addWidget(panel)
        layout.addStretch(1)
        self.scroll(inside)

    def _wire(self) -> None:
        self.images.chosen.connect(self.use_image)
        self.images.labels_chosen.connect(self._use_labels)
        self.images.insisted.connect(self._use_doubtful)
        self.images.open_clicked.connect(self._ask_for_image)
        self.models.chosen.connect(self._use_model)
        self.session.post_changed.connect(self._set_post)
        self.session.save_clicked.connect(self._ask_where_to_save)
        self.session.status.resample_clicked.connect(self.resample_labels)
        # Layers are looked at when napari is done with adding them, which selects them too.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._follow_layers)
        for name in ("inserted", "removed"):
            event = getattr(self.viewer.layers.events, name)
            self._with_viewer.add(event, lambda *_: self._later.start())
        self._with_viewer.add(model_chosen, self._hear_of_choice)
        self.destroyed.connect(partial(_let_go, self.__dict__))

    def _refuse(self, image: Image | None, labels: Labels | None, error: SamriError) -> None:
        """Say why a session cannot begin, and offer what can be done; what goes on goes on."""
        self._show_layers()
        self.session.show_error(error)
        if isinstance(error, OtherGridError):
            self._elsewhere = (image, labels)
            self.session.status.offer_resampling()

    def _say(self, text: str) -> None:
        """Say what became of labels: in the panel too, where it stays a while."""
        self.session.status.show_message(text)
        show_info(text)

    def _refused(self, image: Image | None, labels: Labels | None) -> SamriError | None:
        """Begin a session, if there is an image; return why that cannot be."""
        if image is not None:
            told: list[str] = []
            try:
                self._take(
                    open_annotation(self.viewer, image, self.settings, labels, tell=told.append)
                )
            except SamriError as error:
                return error
            for text in told:
                self._say(text)
        return None

    def _take(self, annotation: Annotation) -> None:
        annotation.retain()
        self.annotation = annotation
        add, scheduler = self._with_annotation.add, annotation.scheduler
        add(scheduler.loaded, lambda _: self._show_model())
        add(scheduler.failed, lambda _: self.models.show_model(scheduler.choice.model))
        add(annotation.ended, self._ended)
        self.session.attach(annotation)
        annotation.session.set_post(_post(self.settings))
        if scheduler.info is not None:
            self._show_model()
        elif not scheduler.busy:
            self._use_model(self.settings.model)

    def _use_model(self, model: str) -> None:
        if self.annotation is not None:
            device, memory_mb = self.settings.device, self.settings.memory_mb
            self.annotation.use_model(model, device=device, memory_mb=memory_mb)

    def _hear_of_choice(self, viewer: Any, model: str) -> None:
        """Show a model that was chosen elsewhere; what is annotated uses it already."""
        if viewer is self.viewer:
            self.settings = replace(self.settings, model=model)
            self.models.show_model(model)

    def _use_doubtful(self, image: Image) -> None:
        use_as_image(image)
        self.use_image(image)

    def _use_labels(self, labels: Labels | Image | None) -> None:
        annotation = self.annotation
        if annotation is None or labels is annotation.link.canvas.labels:
            return
        with self._with_viewer.muted():
            if labels is None:
                labels = new_labels(self.viewer, annotation.image)
            labels = as_labels_layer(self.viewer, labels)
        self.images.show_doubtful(None)
        self.use_image(annotation.image, labels)

    def _set_post(self, largest: bool, holes: bool) -> None:
        self.settings = replace(self.settings, largest_component=largest, fill_holes=holes)
        write_settings(self.settings)
        if self.annotation is not None:
            self.session.attempt(partial(self.annotation.session.set_post, _post(self.settings)))

    def _ask_for_image(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open an image", "", IMAGE_FILES)
        if path:
            self.open_image(path)

    def _allows(self, path: Path | str, error: TooLargeError) -> bool:
        text = f"{Path(path).name} has {error.voxels:,} voxels. Open it all the same?"
        answer = QMessageBox.question(self, "A large image", text)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _ask_where_to_save(self) -> None:
        if self.annotation is None:
            show_info("There are no labels to save; choose or open an image first.")
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
        self.use_image(self.viewer.add_image(array, **options))

    def _tell(self, error: Exception) -> None:
        """Tell of an error on another thread; one that is a fault of ours surfaces."""
        if not isinstance(error, SamriError):
            raise error
        self.session.show_error(error)

    def _ended(self, reason: str) -> None:
        self._with_annotation.close()
        self.annotation = None
        self.session.detach()
        # Told later, and thus not if this is because the whole window closes.
        self._farewell = reason
        self._later.start()

    def _follow_layers(self) -> None:
        """Annotate the first image that comes, and list what there is."""
        if self._farewell:
            show_info(self._farewell)
            self._farewell = ""
        if self.annotation is not None:
            self._tell_of_hidden(self.annotation)
        usable = images_of(self.viewer)
        if self.annotation is None and usable:
            active = self.viewer.layers.selection.active
            self.use_image(active if active in usable else usable[-1])
        else:
            self._show_layers()

    def _tell_of_hidden(self, annotation: Annotation) -> None:
        """Hide what came and would cover the image, so that nobody draws on another one."""
        for layer in annotation.stage.hide_others():
            how = "choose it beside 'Image' to segment it"
            if isinstance(layer, Labels):
                how = "it lies elsewhere"
            show_info(
                f"'{layer.name}' is hidden while '{annotation.image.name}' is segmented ({how}); "
                "the eye in the list of layers shows it."
            )

    def _all_images(self) -> list[Image]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    def _show_layers(self) -> None:
        annotation = self.annotation
        shown = annotation.image if annotation is not None else None
        self.images.show_images(self._all_images(), shown)
        labels = labels_of(self.viewer)
        self.images.show_labels(labels, annotation.link.canvas.labels if annotation else None)

    def _show_model(self) -> None:
        if self.annotation is None or self.annotation.scheduler.info is None:
            return
        scheduler = self.annotation.scheduler
        self.models.show_info(self.annotation.scheduler.info)
        self.models.show_model(scheduler.choice.model)
        self.settings = replace(self.settings, model=scheduler.choice.model)
        write_settings(self.settings)


def _post(settings: Settings) -> PostProcessing:
    return PostProcessing(
        largest_component=settings.largest_component, fill_holes=settings.fill_holes
    )


def _saved(annotation: Annotation, job: SaveJob, problem: str) -> None:
    annotation.mark_saved(job)
    if problem:
        show_warning(problem)
    else:
        show_info(f"Saved {job.path}")


def _end(parts: dict[str, Any]) -> None:
    """End the session of a widget, known by its attributes."""
    parts["_with_annotation"].close()
    annotation, parts["annotation"] = parts["annotation"], None
    if annotation is not None:
        annotation.release()


def _let_go(parts: dict[str, Any]) -> None:
    """Disconnect a widget that may be destroyed already, known by its attributes."""
    parts["_with_viewer"].close()
    parts["session"].disconnect_all()
    _end(parts)

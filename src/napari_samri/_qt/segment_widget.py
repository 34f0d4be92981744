"""The Segment widget: panels wired to one annotation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QScrollArea, QVBoxLayout, QWidget

from napari_samri._napari.annotation import annotations_of
from napari_samri._napari.canvas import labels_drawn_on, new_labels
from napari_samri._napari.connections import Connections
from napari_samri._napari.keys import bind_keys
from napari_samri._napari.layers import volume_name
from napari_samri._napari.picking import pick_pixel
from napari_samri._napari.preferences import current_settings
from napari_samri._napari.reader import layer_data
from napari_samri._qt.image_panel import ImagePanel
from napari_samri._qt.label_panel import LabelPanel
from napari_samri._qt.mask_panel import MaskPanel
from napari_samri._qt.model_panel import ModelPanel
from napari_samri._qt.prompt_panel import PromptPanel
from napari_samri._qt.relay import run_elsewhere
from napari_samri._qt.start import open_annotation
from napari_samri._qt.status_panel import StatusPanel
from napari_samri.errors import SamriError
from napari_samri.io import load_volume
from napari_samri.segment.postprocess import PostProcessing
from napari_samri.session.saving import prepare_save
from napari_samri.session.settings import write_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_samri._napari.annotation import Annotation
    from napari_samri.session.request import Preview
    from napari_samri.session.saving import SaveJob

VOLUMES = "Images (*.nii *.nii.gz *.dcm *.dicom *.ima);;All files (*)"
LABELS = "NIfTI (*.nii.gz *.nii)"


class SegmentWidget(QScrollArea):
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
        self._connections = Connections()  # with the viewer
        self._session_connections = Connections()  # with the annotation
        self._stop_picking: Callable[[], None] = _nothing
        self._reason = ""
        # Layers are looked at when napari is done with adding them, which selects them too.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._follow_layers)
        self._build()
        self._wire()
        self.models.show_model(self.settings.model)
        self.masks.show_post(self.settings.largest_component, self.settings.fill_holes)
        for name in ("inserted", "removed"):
            self._connections.add(
                getattr(self.viewer.layers.events, name), lambda *_: self._later.start()
            )
        self.destroyed.connect(partial(_let_go, self.__dict__))
        self._follow_layers()

    # Building

    def _build(self) -> None:
        self.images, self.models, self.prompts = ImagePanel(), ModelPanel(), PromptPanel()
        self.masks, self.labels, self.status = MaskPanel(), LabelPanel(), StatusPanel()
        inside = QWidget()
        layout = QVBoxLayout(inside)
        for panel in (
            self.images,
            self.models,
            self.status,
            self.prompts,
            self.masks,
            self.labels,
        ):
            layout.addWidget(panel)
        layout.addStretch(1)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def _wire(self) -> None:
        self.images.chosen.connect(self.use_image)
        self.images.labels_chosen.connect(self._use_labels)
        self.images.open_clicked.connect(self._ask_for_image)
        self.models.chosen.connect(self._use_model)
        self.prompts.tool_chosen.connect(self._take_tool)
        self.prompts.sign_clicked.connect(self._do("toggle sign"))
        self.prompts.triggered.connect(lambda intent: self._do(intent)())
        self.masks.candidates_toggled.connect(self._with(lambda s, on: s.set_candidates(on)))
        self.masks.candidate_chosen.connect(self._with(lambda s, n: s.choose(n)))
        self.masks.post_changed.connect(self._set_post)
        self.labels.activated.connect(self._with(lambda s, n: s.activate(n)))
        self.labels.renamed.connect(self._change_label("name"))
        self.labels.recoloured.connect(self._change_label("colour"))
        self.labels.locked.connect(self._change_label("locked"))
        self.labels.remove_clicked.connect(self._with(lambda s, n: s.remove_label(n)))
        self.labels.reopen_clicked.connect(self._pick_object)
        self.labels.save_clicked.connect(self._ask_where_to_save)
        self.status.cancel_clicked.connect(self._with(lambda s: s.service.cancel()))
        self.status.restore_clicked.connect(self._restore)
        self.status.discard_clicked.connect(self._discard)

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
        if self.annotation is not None and self.annotation.image is image and labels is None:
            return
        with self._connections.muted():  # our own layers are none of the news
            self.close_annotation()
            annotation = self._opened(image, labels) if image is not None else None
        self._show_layers()
        if annotation is None:
            return
        self.annotation = annotation
        self._follow_annotation(annotation)
        annotation.session.set_post(self._post())
        if annotation.service.info is None and not annotation.service.busy:
            self._use_model(self.settings.model)
        self._take_tool("shapes", "add_rectangle")

    def _opened(self, image: Image, labels: Labels | None) -> Annotation | None:
        labels = labels or labels_drawn_on(self.viewer, image)
        try:
            return open_annotation(self.viewer, image, self.settings, labels)
        except SamriError as error:
            show_error(str(error))
            return None

    def open_image(self, path: Path | str) -> None:
        """Load an image with our own reader, off the window's thread, and annotate it."""
        run_elsewhere(lambda: layer_data(load_volume(path)), self._add_layer, _tell)

    def save(self, path: Path | str) -> None:
        """Save the labels, off the window's thread."""
        annotation = self.annotation
        if annotation is None:
            return
        try:
            job = prepare_save(annotation.session, path)
        except SamriError as error:
            show_error(str(error))
            return
        run_elsewhere(job.run, lambda _: self._saved(annotation, job), _tell)

    def close_annotation(self) -> None:
        """End the session; labels stay."""
        self._stop_picking()
        self._session_connections.close()
        if self.annotation is not None:
            self.annotation.close()
        self.annotation = None
        self.status.show_activity(None)
        self.status.show_recovered(None)
        self.masks.show_preview(None, False)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Be wide enough for all panels, in whatever style, beside the scroll bar."""
        size = super().minimumSizeHint()
        bar = self.verticalScrollBar().sizeHint().width()
        size.setWidth(self.widget().minimumSizeHint().width() + bar)
        return size

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Disconnect everything."""
        _let_go(self.__dict__)
        super().closeEvent(event)

    def _do(self, intent: str) -> Callable[[], None]:
        """Return what a button or a key of an intent does."""

        def act() -> None:
            annotation = self.annotation
            if annotation is None:
                show_info("Choose or open an image first.")
                return
            session = annotation.session
            actions = {
                "toggle sign": annotation.link.toggle_sign,
                "run": session.run,
                "commit": session.commit,
                "clear": session.clear,
                "undo": session.undo,
                "redo": session.redo,
                "next object": session.next_object,
            }
            _attempt(actions[intent])
            self.prompts.show_sign(annotation.link.sign)

        return act

    def _with(self, action: Callable[..., None]) -> Callable[..., None]:
        """Return a slot that does something to the session, if there is one."""

        def act(*arguments: Any) -> None:
            if self.annotation is not None:
                _attempt(partial(action, self.annotation.session, *arguments))

        return act

    def _change_label(self, name: str) -> Callable[[int, Any], None]:
        return self._with(
            lambda s, label, value: s.set_table(s.document.table.change(label, **{name: value}))
        )

    def _use_model(self, model: str) -> None:
        if self.annotation is not None:
            settings = self.settings
            self.annotation.use_model(model, device=settings.device, memory_mb=settings.memory_mb)

    def _take_tool(self, layer: str, mode: str) -> None:
        if self.annotation is not None:
            canvas = self.annotation.link.canvas
            target = canvas.shapes if layer == "shapes" else canvas.points
            self.viewer.layers.selection.active = target
            target.mode = mode
        self.prompts.show_tool(layer, mode)

    def _set_post(self, largest: bool, holes: bool) -> None:
        self.settings = replace(self.settings, largest_component=largest, fill_holes=holes)
        write_settings(self.settings)
        self._with(lambda s: s.set_post(self._post()))()

    def _post(self) -> PostProcessing:
        return PostProcessing(
            largest_component=self.settings.largest_component,
            fill_holes=self.settings.fill_holes,
        )

    def _pick_object(self, on: bool = True) -> None:
        self._stop_picking()
        annotation = self.annotation
        if annotation is None:
            return
        annotation.link.canvas.shapes.mode = "pan_zoom"

        def picked(*place: Any) -> None:
            self.labels.reopen.setChecked(False)
            _attempt(partial(annotation.session.reopen, *place))
            self._take_tool("points", "add")

        self._stop_picking = pick_pixel(self.viewer, annotation.image, picked)

    def _ask_for_image(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open an image", "", VOLUMES)
        if path:
            self.open_image(path)

    def _ask_where_to_save(self) -> None:
        if self.annotation is None:
            return
        source = self.annotation.session.volume.grid.path
        name = f"{volume_name(self.annotation.session.volume)}_labels.nii.gz"
        where = source.with_name(name) if source is not None else Path(name)
        path, _ = QFileDialog.getSaveFileName(self, "Save labels", str(where), LABELS)
        if path:
            self.save(path)

    def _use_labels(self, labels: Labels | None) -> None:
        annotation = self.annotation
        if annotation is None or labels is annotation.link.canvas.labels:
            return
        image = annotation.image
        if labels is None:
            with self._connections.muted():
                labels = new_labels(self.viewer, image)
        self.use_image(image, labels)

    def _restore(self) -> None:
        if self.annotation is not None:
            _attempt(self.annotation.restore)
            self.status.show_recovered(None)

    def _discard(self) -> None:
        if self.annotation is not None:
            self.annotation.forget_recovered()
            self.status.show_recovered(None)

    # What happened

    def _add_layer(self, data: tuple[Any, dict[str, Any], str]) -> None:
        array, options, kind = data
        if kind == "labels":
            self.viewer.add_labels(array, **options)
            show_info("This file holds labels; choose them beside 'Labels', on their image.")
            return
        self.use_image(self.viewer.add_image(array, **options))

    def _saved(self, annotation: Annotation, job: SaveJob) -> None:
        annotation.mark_saved(job)
        show_info(f"Saved {job.path}")

    def _follow_layers(self) -> None:
        if self._reason:
            show_info(self._reason)
            self._reason = ""
        images = self._images()
        if self.annotation is None and images:
            active = self.viewer.layers.selection.active
            self.use_image(active if active in images else images[-1])
        else:
            self._show_layers()

    def _images(self) -> list[Image]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    def _show_layers(self) -> None:
        annotation = self.annotation
        shown = annotation.image if annotation is not None else None
        self.images.show_images(self._images(), shown)
        canvases = [other.link.canvas for other in annotations_of(self.viewer).values()]
        usable = [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, Labels) and all(layer is not c.preview for c in canvases)
        ]
        self.images.show_labels(usable, annotation.link.canvas.labels if annotation else None)

    def _follow_annotation(self, annotation: Annotation) -> None:
        add, session = self._session_connections.add, annotation.session
        add(session.changed, self._show_state)
        add(session.previewed, self._show_preview)
        add(session.failed, lambda error: show_error(str(error)))
        add(annotation.service.activity, self.status.show_activity)
        add(annotation.service.loaded, self._show_model)
        add(annotation.service.failed, lambda _: self.models.show_model(self._model()))
        add(annotation.ended, self._ended)
        intents = (
            "toggle sign",
            "run",
            "commit",
            "clear",
            "undo",
            "redo",
            "next object",
        )
        canvas = annotation.link.canvas
        bind_keys(
            (*canvas.temporary, canvas.labels), {intent: self._do(intent) for intent in intents}
        )
        recovered = annotation.recovered
        self.status.show_recovered(recovered.time if recovered is not None else None)
        if annotation.service.info is not None:
            self._show_model(annotation.service.info)
        self._show_state()

    def _model(self) -> str:
        return self.annotation.service.choice.model if self.annotation is not None else "starter"

    def _show_model(self, info: Any) -> None:
        self.models.show_info(info)
        self.models.show_model(self._model())
        self.settings = replace(self.settings, model=self._model())
        write_settings(self.settings)

    def _show_state(self) -> None:
        if self.annotation is None:
            return
        session = self.annotation.session
        self.labels.show_table(session.document.table)
        self.prompts.show_history(session.history.can_undo, session.history.can_redo)
        self.prompts.show_sign(self.annotation.link.sign)

    def _show_preview(self, preview: Preview | None) -> None:
        info = self.annotation.service.info if self.annotation is not None else None
        self.masks.show_preview(preview, info is not None and info.score_is_stale)

    def _ended(self, reason: str) -> None:
        self.close_annotation()
        # Told later, and thus not if this is because the whole window closes.
        self._reason = reason
        self._later.start()


def _attempt(action: Callable[[], None]) -> None:
    try:
        action()
    except SamriError as error:
        show_error(str(error))


def _tell(error: Exception) -> None:
    if not isinstance(error, SamriError):
        raise error
    show_error(str(error))


def _nothing() -> None:
    pass


def _let_go(parts: dict[str, Any]) -> None:
    """Disconnect a widget that may be destroyed already, known by its attributes."""
    parts["_connections"].close()
    parts["_session_connections"].close()
    parts["_stop_picking"]()
    if parts["annotation"] is not None:
        parts["annotation"].close()
        parts["annotation"] = None

"""Prompts, masks, labels and progress of one annotation: panels wired to its session."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_samri._napari import KEYS, Connections, bind_keys, pick_pixel
from napari_samri._qt.label_panel import LabelPanel
from napari_samri._qt.mask_panel import MaskPanel
from napari_samri._qt.prompt_panel import PromptPanel
from napari_samri._qt.status_panel import StatusPanel
from napari_samri.errors import SamriError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_samri._napari import Annotation
    from napari_samri.session import Preview


class SessionPanel(QWidget):
    """Shows the annotation it is attached to, if any, and passes intents on to it."""

    save_clicked = Signal()
    post_changed = Signal(bool, bool)  # largest component, fill holes

    def __init__(self) -> None:
        super().__init__()
        self.annotation: Annotation | None = None
        self.status, self.prompts = StatusPanel(), PromptPanel()
        self.masks, self.labels = MaskPanel(), LabelPanel()
        self._connections = Connections()
        self._stop_picking: Callable[[], None] = lambda: None
        self._unbind_keys: Callable[[], None] = lambda: None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for panel in (self.status, self.prompts, self.masks, self.labels):
            layout.addWidget(panel)
        self._wire()

    def attach(self, annotation: Annotation) -> None:
        """Show an annotation, and pass on to it what is clicked."""
        self.detach()
        self.annotation = annotation
        add, session = self._connections.add, annotation.session
        add(session.changed, self._show_state)
        add(session.previewed, self._show_preview)
        add(session.failed, self.show_error)
        # An error message goes as soon as something succeeds.
        add(session.stepped, lambda *_: self.status.show_message(""))
        add(annotation.scheduler.loaded, lambda _: self.status.show_message(""))
        add(annotation.scheduler.activity, self.status.show_activity)
        actions = {intent: self._act(intent) for intent in KEYS}
        self._unbind_keys = bind_keys(annotation.canvas.layers, actions)
        recovered = annotation.recovered
        self.status.show_recovered(recovered.time if recovered is not None else None)
        self._show_state()
        self.take_tool("shapes", "add_rectangle")

    def disconnect_all(self) -> None:
        """Disconnect from the annotation; works after Qt has deleted the panel too."""
        self._stop_picking()
        self._unbind_keys()
        self._unbind_keys = lambda: None
        self._connections.close()
        self.annotation = None

    def detach(self) -> None:
        """Disconnect from the annotation, and clear the panels."""
        self.disconnect_all()
        self.labels.reopen.setChecked(False)
        self.status.show_activity(None)
        self.status.show_message("")
        self.status.show_recovered(None)
        self.masks.show_preview(None, False)

    def take_tool(self, layer: str, mode: str) -> None:
        """Select the layer of a tool, in the mode that draws with it."""
        annotation = self.annotation
        if annotation is not None:
            canvas = annotation.canvas
            target = canvas.shapes if layer == "shapes" else canvas.points
            annotation.viewer.layers.selection.active = target
            target.mode = mode
        self.prompts.show_tool(layer, mode)

    def attempt(self, action: Callable[[], None]) -> None:
        """Run an action; show the error if it fails."""
        try:
            action()
        except SamriError as error:
            self.show_error(error)

    def show_error(self, error: SamriError) -> None:
        """Show an error: napari's notification disappears and may be cut off, the line stays."""
        self.status.show_message(str(error))
        show_error(str(error))

    def _wire(self) -> None:
        self.status.cancel_clicked.connect(self._with(lambda a: a.scheduler.cancel()))
        self.status.restore_clicked.connect(self._with(lambda a: a.restore()))
        self.status.discard_clicked.connect(self._with(lambda a: a.forget_recovered()))
        for clicked in (self.status.restore_clicked, self.status.discard_clicked):
            clicked.connect(lambda: self.status.show_recovered(None))
        self.prompts.tool_chosen.connect(self.take_tool)
        self.prompts.sign_clicked.connect(self._act("toggle sign"))
        self.prompts.triggered.connect(lambda intent: self._act(intent)())
        self.masks.candidates_toggled.connect(
            self._with(lambda a, on: a.session.set_candidates(on))
        )
        self.masks.candidate_chosen.connect(self._with(lambda a, n: a.session.choose(n)))
        self.masks.post_changed.connect(self.post_changed)
        self.labels.activated.connect(self._with(lambda a, n: a.session.activate(n)))
        self.labels.renamed.connect(self._change_label("name"))
        self.labels.recoloured.connect(self._change_label("colour"))
        self.labels.locked.connect(self._change_label("locked"))
        self.labels.remove_clicked.connect(self._with(lambda a, n: a.session.remove_label(n)))
        self.labels.reopen_clicked.connect(self._with(self._pick_object))
        self.labels.save_clicked.connect(self.save_clicked)

    def _act(self, intent: str) -> Callable[[], None]:
        """Return what a button or a key of an intent does."""

        def act(annotation: Annotation) -> None:
            session = annotation.session
            actions: dict[str, Callable[[], None]] = {
                "toggle sign": annotation.link.toggle_sign,
                "run": session.run,
                "commit": session.commit,
                "clear": session.clear,
                "undo": session.undo,
                "redo": session.redo,
                "next object": session.next_object,
            }
            actions[intent]()
            self.prompts.show_sign(annotation.link.sign)

        return self._with(act)

    def _with(self, action: Callable[..., None]) -> Callable[..., None]:
        """Return a slot that runs an action on the annotation, and shows the error if it fails."""

        def slot(*arguments: Any) -> None:
            if self.annotation is None:
                show_info("Choose or open an image first.")
                return
            self.attempt(partial(action, self.annotation, *arguments))

        return slot

    def _change_label(self, name: str) -> Callable[..., None]:
        def change(annotation: Annotation, label: int, value: Any) -> None:
            session = annotation.session
            session.set_table(session.document.table.change(label, **{name: value}))

        return self._with(change)

    def _pick_object(self, annotation: Annotation) -> None:
        """Re-open the object under the next click, or stop waiting for one."""
        waiting = self.labels.reopen.isChecked()
        self._stop_picking()
        if waiting:
            self._stop_picking = pick_pixel(
                annotation.viewer,
                annotation.image,
                partial(self._reopen, annotation),
                self._miss,
            )

    def _reopen(self, annotation: Annotation, *place: Any) -> None:
        self.labels.reopen.setChecked(False)
        try:
            annotation.session.reopen(*place)
        except SamriError as error:
            self.show_error(error)
        else:
            self.take_tool("points", "add")

    def _miss(self, error: SamriError) -> None:
        self.labels.reopen.setChecked(False)
        self.show_error(error)

    def _show_state(self) -> None:
        annotation = self.annotation
        if annotation is None:
            return
        history = annotation.session.history
        self.labels.show_table(annotation.session.document.table)
        self.prompts.show_history(history.can_undo, history.can_redo)
        self.prompts.show_sign(annotation.link.sign)

    def _show_preview(self, preview: Preview | None) -> None:
        info = self.annotation.scheduler.info if self.annotation is not None else None
        self.masks.show_preview(preview, info is not None and info.score_is_stale)

"""Which model to run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_samri.filenames import CHECKPOINT_SUFFIXES, dialog_filter
from napari_samri.models import (
    known_models,
    local_path,
    models_changed,
    models_dir,
    needed_model,
    unreadable_models,
)

if TYPE_CHECKING:
    from napari_samri.models import ModelSpec
    from napari_samri.segment import ModelInfo

FILES = dialog_filter("Checkpoints", CHECKPOINT_SUFFIXES)


class _Models(QComboBox):
    """A combo box with a signal before it opens."""

    opens = Signal()

    def showPopup(self) -> None:  # noqa: N802  # Qt's name
        """Open, after the list has been brought up to date."""
        self.opens.emit()
        super().showPopup()


class ModelPanel(QWidget):
    """The known models, a button for files, and what runs now.

    Models that become known while the panel is open appear at once; those that another process
    adds, when the list is opened.
    """

    chosen = Signal(str)  # id or path
    _outdated = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.models = _Models()
        self.models.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._files: list[str] = []  # chosen, but no known models
        self.refresh()
        self.models.opens.connect(self.refresh)
        self.models.activated.connect(lambda index: self.chosen.emit(self.models.itemData(index)))
        self._outdated.connect(self.refresh)
        # Held weakly; through a signal of Qt, because it may be emitted on any thread.
        models_changed.connect(self._pass_on)
        self.browse = QPushButton("Browse…")
        self.browse.setToolTip("Use a checkpoint file: .pth, .pt or .safetensors")
        self.browse.clicked.connect(self._browse)
        self.status = QLabel("")
        self.status.setWordWrap(True)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Model"), 0, 0)
        layout.addWidget(self.models, 0, 1)
        layout.addWidget(self.browse, 0, 2)
        layout.addWidget(self.status, 1, 0, 1, 3)
        layout.setColumnStretch(1, 1)

    def show_model(self, model: str) -> None:
        """Select a model, by id or path; emits nothing."""
        if self.models.findData(model) < 0:
            self._files.append(model)
            self._add(model, Path(model).name, model)
        self.models.setCurrentIndex(self.models.findData(model))

    def refresh(self) -> None:
        """List what is known now; what is selected stays so, and nothing is emitted."""
        selected = self.models.currentData()
        self.models.clear()
        models = known_models()
        for spec in models.values():
            if spec.available:
                needed = needed_model(spec, models)
                self._add(spec.id, f"{spec.title}{_state(needed)}", _hint(spec, needed))
        for damaged in unreadable_models():
            self._add(damaged.name, f"{damaged.name} (unreadable)", damaged.reason)
            self.models.model().item(self.models.count() - 1).setEnabled(False)
        for file in self._files:
            if self.models.findData(file) < 0:
                self._add(file, Path(file).name, file)
        if selected is not None:
            self.show_model(selected)

    def show_info(self, info: ModelInfo) -> None:
        """Show which model runs, where, and what to know before using it."""
        boxes = "" if info.takes_points else "Draw boxes: it was not trained with points."
        score = "Its scores mean nothing and are not shown." if info.score_is_stale else ""
        said = f"{info.title} on {info.device}. {info.description}"
        self.status.setText(" ".join(filter(None, (said, boxes, score, info.notes))))

    def _pass_on(self) -> None:
        with suppress(RuntimeError):  # Qt has deleted its part of the panel
            self._outdated.emit()

    def _add(self, model: str, title: str, hint: str) -> None:
        self.models.addItem(title, model)
        self.models.setItemData(self.models.count() - 1, hint, _tool_tip_role())

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a checkpoint", str(models_dir()), FILES)
        if path:
            self.show_model(path)
            self.chosen.emit(path)


def _state(needed: ModelSpec) -> str:
    if needed.download is None or local_path(needed) is not None:
        return ""
    return " (download)" if needed.download.url else " (get by hand)"


def _hint(spec: ModelSpec, needed: ModelSpec) -> str:
    if needed.download is None or local_path(needed) is not None:
        return spec.description
    where = models_dir() / needed.download.filename
    source = needed.download.url or needed.download.page or "its publisher"
    what = "it" if needed == spec else needed.title
    return f"{spec.description}\nWithout a network: get {what} from {source}\nand put it at {where}"


def _tool_tip_role() -> int:
    from qtpy.QtCore import Qt

    return int(Qt.ItemDataRole.ToolTipRole)

"""Forms of magicgui's widgets, for work that is started by a button."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FileEdit
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from magicgui.types import FileDialogMode
    from napari.layers import Image, Labels

DEVICES = ("auto", "cpu", "cuda", "mps")


class JobForm(QWidget):
    """A form with layers, a place for the result, a device, and what happens at the end.

    Subclasses make more rows, and call `finish` with all of them.

    Parameters
    ----------
    out : magicgui.widgets.FileEdit
        Where to.
    device : str
        Chosen at first.
    keep : bool
        Whether jobs outlive the viewer at first.
    keep_tip : str
    """

    source_changed = Signal()
    keep_changed = Signal(bool)

    def __init__(self, out: FileEdit, device: str, keep: bool, keep_tip: str) -> None:
        super().__init__()
        self.out = out
        self.image = ComboBox(label="Image", choices=[], tooltip="Image layer: a volume")
        self.labels = ComboBox(label="Labels", choices=[], tooltip="Labels layer on that image")
        devices = DEVICES if device in DEVICES else (*DEVICES, device)
        self.device = ComboBox(
            label="Device", choices=devices, value=device, tooltip="Where the model runs"
        )
        self.keep = CheckBox(
            label="", text="Keep running when napari closes", value=keep, tooltip=keep_tip
        )
        self._suggested: Path | None = None

    def finish(self, rows: Sequence[Any], sources: Sequence[Any]) -> None:
        """Lay out all rows; news of some of them are news of the source."""
        self._rows = list(rows)
        self._lay_out()
        for row in sources:
            row.changed.connect(lambda *_: self.source_changed.emit())
        self.keep.changed.connect(lambda on: self.keep_changed.emit(bool(on)))

    def show_only(self, shown: Collection[Any], among: Collection[Any]) -> None:
        """Hide some rows, with their labels."""
        for label, row in zip(self._labels, self._rows, strict=True):
            if any(row is each for each in among):
                visible = any(row is each for each in shown)
                row.visible = visible
                label.setVisible(visible)

    def show_layers(self, images: Sequence[Image], labels: Sequence[Labels | Image]) -> None:
        """List layers; the choice stays where it can, else it is the newest."""
        for box, layers in ((self.image, images), (self.labels, labels)):
            before = box.value
            box.choices = [(layer.name, layer) for layer in layers]
            if layers:
                box.value = before if before in layers else layers[-1]

    def suggest(self, out: Path | None) -> None:
        """Propose a place for the result, unless the user chose another one."""
        if out is not None and self.out.value in {None, self._suggested}:
            self._suggested = out
            self.out.value = out

    def lock(self, locked: bool) -> None:
        """Let nothing be changed while something goes on, except what becomes of it at the end."""
        for row in self._rows:
            if row is not self.keep:
                row.enabled = not locked

    def _lay_out(self) -> None:
        # In our own grid: the labels of magicgui's containers do not line up where rows are hidden.
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(1, 1)
        self._labels = [QLabel(row.label) for row in self._rows]
        for number, (label, row) in enumerate(zip(self._labels, self._rows, strict=True)):
            layout.addWidget(label, number, 0)
            layout.addWidget(row.native, number, 1)
        # The theme's font, which comes with the window, is a bit wider than the one now.
        self.label_width = round(1.25 * max(label.sizeHint().width() for label in self._labels))
        layout.setColumnMinimumWidth(0, self.label_width)


def chosen_path(edit: FileEdit) -> Path | None:
    """Return what a line of a form says, if anything."""
    value = edit.value
    return value if isinstance(value, Path) else None


def file_row(mode: FileDialogMode, label: str, pattern: str | None, tip: str) -> FileEdit:
    """Return a line for a file or a folder, with a button."""
    edit = FileEdit(mode=mode, filter=pattern, label=label, nullable=True, tooltip=tip)
    edit.choose_btn.text = "Choose…"
    edit.line_edit.tooltip = edit.choose_btn.tooltip = tip
    return edit

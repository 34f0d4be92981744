"""What to embed, where to, and how: a form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, FileEdit, SpinBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels

Source = Literal["folder", "manifest", "layers"]
SOURCES: tuple[tuple[str, Source], ...] = (
    ("data set folder", "folder"),
    ("manifest", "manifest"),
    ("open layers", "layers"),
)
STORED_AS = (("float16", "float16"), ("int8, half the bytes", "int8"))
DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_WORKERS = 64


@dataclass(frozen=True, eq=False)
class Choices:
    """What the form says."""

    source: Source
    folder: Path | None
    manifest: Path | None
    image: Image | None
    labels: Labels | None
    out: Path | None
    quantisation: str
    device: str
    workers: int
    keep: bool


class EmbedForm(QWidget):
    """A form of magicgui's widgets.

    Parameters
    ----------
    device : str
        Chosen at first.
    keep : bool
        Whether jobs outlive the viewer at first.
    """

    source_changed = Signal()
    keep_changed = Signal(bool)

    def __init__(self, device: str, keep: bool) -> None:
        super().__init__()
        self._make_sources()
        self.out = _file(FileDialogMode.OPTIONAL_FILE, "Bank", "*.zarr", _OUT_TIP)
        self.quantisation = ComboBox(label="Stored as", choices=STORED_AS, tooltip=_STORED_TIP)
        devices = DEVICES if device in DEVICES else (*DEVICES, device)
        self.device = ComboBox(
            label="Device", choices=devices, value=device, tooltip="Where the model runs"
        )
        self.workers = SpinBox(
            label="Processes", value=1, min=1, max=MAX_WORKERS, tooltip=_WORKERS_TIP
        )
        self.keep = CheckBox(
            label="", text="Keep running when napari closes", value=keep, tooltip=_KEEP_TIP
        )
        self._rows = [
            *(self.source, self.folder, self.manifest, self.image, self.labels),
            *(self.out, self.quantisation, self.device, self.workers, self.keep),
        ]
        self._lay_out()
        self._suggested: Path | None = None
        self._show_source()
        self.source.changed.connect(self._show_source)
        for row in (self.source, self.folder, self.manifest, self.image, self.labels):
            row.changed.connect(lambda *_: self.source_changed.emit())
        self.keep.changed.connect(lambda on: self.keep_changed.emit(bool(on)))

    @property
    def choices(self) -> Choices:
        """What it says now."""
        return Choices(
            source=self.source.value,
            folder=_path(self.folder),
            manifest=_path(self.manifest),
            image=self.image.value,
            labels=self.labels.value,
            out=_path(self.out),
            quantisation=self.quantisation.value,
            device=self.device.value,
            workers=self.workers.value,
            keep=self.keep.value,
        )

    def show_layers(self, images: Sequence[Image], labels: Sequence[Labels]) -> None:
        """List layers; the choice stays where it can, else it is the newest."""
        for box, layers in ((self.image, images), (self.labels, labels)):
            before = box.value
            box.choices = [(layer.name, layer) for layer in layers]
            if layers:
                box.value = before if before in layers else layers[-1]

    def suggest(self, out: Path | None) -> None:
        """Propose a place for the bank, unless the user chose another one."""
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

    def _make_sources(self) -> None:
        self.source = ComboBox(label="Embed", choices=SOURCES, tooltip=_SOURCE_TIP)
        self.folder = _file(FileDialogMode.EXISTING_DIRECTORY, "Folder", None, _FOLDER_TIP)
        self.manifest = _file(
            FileDialogMode.EXISTING_FILE, "Manifest", "*.json", "Made by 'napari-samri prepare'"
        )
        self.image = ComboBox(label="Image", choices=[], tooltip="Image layer: a volume")
        self.labels = ComboBox(label="Labels", choices=[], tooltip="Labels layer on that image")

    def _show_source(self) -> None:
        rows = {"folder": [self.folder], "manifest": [self.manifest]}
        chosen = rows.get(self.source.value, [self.image, self.labels])
        for label, row in zip(self._labels, self._rows, strict=True):
            if row in (self.folder, self.manifest, self.image, self.labels):
                row.visible = row in chosen
                label.setVisible(row in chosen)


def _path(edit: FileEdit) -> Path | None:
    value = edit.value
    return value if isinstance(value, Path) else None


def _file(mode: FileDialogMode, label: str, pattern: str | None, tip: str) -> FileEdit:
    edit = FileEdit(mode=mode, filter=pattern, label=label, nullable=True, tooltip=tip)
    edit.choose_btn.text = "Choose…"
    edit.line_edit.tooltip = edit.choose_btn.tooltip = tip
    return edit


_SOURCE_TIP = "Slices with labels: of a whole data set, of a prepared manifest, or of two layers"
_FOLDER_TIP = (
    "nnU-Net, BIDS derivatives, SAMRI's own layout, or NAME_img beside NAME_seg; slices are chosen "
    "and patients split by the usual rules. For other rules: 'napari-samri prepare'"
)
_OUT_TIP = (
    "A new name, NAME.zarr, or a bank that is there: what it has already is not embedded again"
)
_STORED_TIP = (
    "float16 keeps the encoder's numbers; int8 takes half the bytes, and masks differ a little "
    "from those of float16 embeddings (see the documentation for how much)"
)
_WORKERS_TIP = (
    "Each has its own model in memory and takes its share of the slices; more than one pays where "
    "there are many cores, or several GPUs' worth of memory"
)
_KEEP_TIP = (
    "On: it goes on without the window, and this widget finds it again. Off: it stops after the "
    "slice under way; embed again to go on. Nothing is lost either way"
)

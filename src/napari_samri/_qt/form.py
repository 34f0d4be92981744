"""Forms for work that is started by a button: rows of magicgui's widgets, made from fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, FileEdit, LineEdit, SpinBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_samri._napari import layer_pair
from napari_samri.datasets import Rules, shares_of
from napari_samri.errors import InputError
from napari_samri.options import options_of
from napari_samri.work import Data, existing_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels

    from napari_samri._napari import LayerPair
    from napari_samri.options import Field

MOST = 1_000_000
# Where data come from: what a person reads, and what it is called here.
FOLDER, MANIFEST, LAYERS, BANK = (
    ("data set folder", "folder"),
    ("manifest", "manifest"),
    ("open layers", "layers"),
    ("bank", "bank"),
)


class JobForm(QWidget):
    """A form with a source of data, a place for the result, settings, and what happens at the end.

    Parameters
    ----------
    sources : sequence of (str, str)
        Of `FOLDER`, `MANIFEST`, `LAYERS` and `BANK`; the first is chosen at first.
    source : tuple of str
        Label and tooltip of that choice.
    out : magicgui.widgets.FileEdit
        Where to.
    how : dict of str to widget
        Further rows, by the names of the fields that they stand for.
    keep : bool
        Whether jobs outlive the viewer at first.
    keep_tip : str
    """

    source_changed = Signal()
    keep_changed = Signal(bool)

    def __init__(
        self,
        sources: Sequence[tuple[str, str]],
        source: tuple[str, str],
        out: FileEdit,
        how: dict[str, Any],
        keep: bool,
        keep_tip: str,
    ) -> None:
        super().__init__()
        self.source = ComboBox(label=source[0], choices=sources, tooltip=source[1])
        self.out = out
        self.keep = CheckBox(
            label="", text="Keep running when napari closes", value=keep, tooltip=keep_tip
        )
        self._of_source = {name: _source_rows(name) for _, name in sources}
        data = {name: row for rows in self._of_source.values() for name, row in rows.items()}
        self.rows = {"source": self.source, **data, "out": out, **how, "keep": self.keep}
        self._suggested: Path | None = None
        self._lay_out()
        for row in (self.source, *data.values()):
            row.changed.connect(lambda *_: self.source_changed.emit())
        self.keep.changed.connect(lambda on: self.keep_changed.emit(bool(on)))
        self.source.changed.connect(self._show_source)
        self._show_source()

    def given(self, kind: type) -> dict[str, Any]:
        """Return the fields of a dataclass that stand in the form.

        Raises
        ------
        InputError
            If one is no number.
        """
        fields = {field.name: field for field in options_of(kind) if field.option.form}
        return {
            name: value_of(fields[name], row) for name, row in self.rows.items() if name in fields
        }

    def path(self) -> Path:
        """Return the folder, the manifest or the bank that is chosen.

        Raises
        ------
        InputError
            If none is, or nothing lies there.
        """
        return existing_source(chosen_path(self.rows[self.source.value]))

    def pair(self, *, copied: bool = True) -> LayerPair:
        """Return the image and the labels that are chosen; see `layer_pair`."""
        return layer_pair(self.rows["image"].value, self.rows["labels"].value, copied=copied)

    def data(self) -> Data | None:
        """Return the data that have to be prepared, if these are what is chosen.

        Raises
        ------
        InputError
            If they are not there, or a setting makes no sense.
        """
        if self.source.value != "folder":
            return None
        rules = Rules(**self.given(Rules), **shares_of(self.rows["split"].value))
        return Data(path=self.path(), rules=rules, **self.given(Data))

    def show_layers(self, images: Sequence[Image], labels: Sequence[Labels | Image]) -> None:
        """List layers; the choice stays where it can, else it is the newest."""
        for name, layers in (("image", images), ("labels", labels)):
            box = self.rows[name]
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
        for row in self.rows.values():
            if row is not self.keep:
                row.enabled = not locked

    def show_row(self, name: str, visible: bool) -> None:
        """Show or hide a row, with its label."""
        self.rows[name].visible = visible
        self._labels[name].setVisible(visible)

    def _show_source(self) -> None:
        for source, rows in self._of_source.items():
            for name in rows:
                self.show_row(name, source == self.source.value)

    def _lay_out(self) -> None:
        # In our own grid: the labels of magicgui's containers do not line up where rows are hidden.
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(1, 1)
        self._labels = {name: QLabel(row.label) for name, row in self.rows.items()}
        for number, (name, row) in enumerate(self.rows.items()):
            layout.addWidget(self._labels[name], number, 0)
            layout.addWidget(row.native, number, 1)
        # The theme's font, which comes with the window, is a bit wider than the one now.
        widest = max(label.sizeHint().width() for label in self._labels.values())
        self.label_width = round(1.25 * widest)
        layout.setColumnMinimumWidth(0, self.label_width)


def rows_of(kind: type, **values: Any) -> dict[str, Any]:
    """Return a row for each field of a dataclass that has words for a form.

    Parameters
    ----------
    kind : type
    **values
        Chosen at first, in place of the fields' defaults.
    """
    fields = [field for field in options_of(kind) if field.option.form]
    return {field.name: _row(field, values.get(field.name, field.default)) for field in fields}


def value_of(field: Field, row: Any) -> Any:
    """Return what a row says about a field.

    Raises
    ------
    InputError
        If it is no number where one is expected.
    """
    if field.kind is not float:
        # Of an empty line, what the field is without it.
        return (row.value.strip() or field.default) if isinstance(row, LineEdit) else row.value
    try:
        return float(row.value)
    except ValueError as error:
        what = field.option.label.lower()
        message = f"the {what} is {row.value!r}; expected a number such as 1e-4."
        raise InputError(message) from error


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


def _row(field: Field, value: Any) -> Any:
    words: dict[str, Any] = {"label": field.option.label, "tooltip": field.option.tip}
    if field.kind is bool:
        return CheckBox(text=field.option.text, value=value, **words)
    if field.option.choices:
        return _choice(field.option.choices, value, words)
    if field.kind is int:
        low, high = field.option.low or 0, field.option.high or MOST
        return SpinBox(min=low, max=high, value=max(low, value), **words)
    text = "" if value is None else f"{value:g}" if field.kind is float else value
    return LineEdit(value=text, **words)


def _choice(choices: tuple[Any, ...], value: Any, words: dict[str, Any]) -> ComboBox:
    """Return a list of choices; a value that is none of them is one more."""
    known = [each[1] if isinstance(each, tuple) else each for each in choices]
    return ComboBox(choices=choices if value in known else (*choices, value), value=value, **words)


def _source_rows(source: str) -> dict[str, Any]:
    """Return the rows of one source of data."""
    folder = FileDialogMode.EXISTING_DIRECTORY
    match source:
        case "folder":
            split = LineEdit(label="Split", value="80:10:10", tooltip=_SPLIT_TIP)
            rows = {"folder": file_row(folder, "Folder", None, _FOLDER_TIP), **rows_of(Data)}
            return {**rows, **rows_of(Rules), "split": split}
        case "manifest":
            tip = "Made by 'napari-samri prepare'"
            return {"manifest": file_row(FileDialogMode.EXISTING_FILE, "Manifest", "*.json", tip)}
        case "bank":
            return {"bank": file_row(folder, "Bank", None, _BANK_TIP)}
        case _:
            return {
                "image": ComboBox(label="Image", choices=[], tooltip="Image layer: a volume"),
                "labels": ComboBox(
                    label="Labels", choices=[], tooltip="Labels layer on that image"
                ),
            }


_SPLIT_TIP = "Shares of the patients: training, validation, test"
_FOLDER_TIP = (
    "nnU-Net, BIDS derivatives, BraTS, TotalSegmentator, ACDC, SAMRI's own layout, or NAME_img "
    "beside NAME_seg; slices are chosen and patients split by the rules below"
)
_BANK_TIP = "Folder of a bank, NAME.zarr; its embeddings must be of the chosen model's encoder"

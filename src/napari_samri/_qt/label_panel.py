"""The table of labels."""

from __future__ import annotations

from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_samri.session import Label, LabelTable

COLOUR, ID, NAME, LOCK = range(4)
_LABEL = "samri label"  # property of the boxes for locks


class LabelPanel(QWidget):
    """Labels with colour, name and lock; buttons to add, remove, re-open and save."""

    activated = Signal(int)
    renamed = Signal(int, str)
    recoloured = Signal(int, str)
    locked = Signal(int, bool)
    remove_clicked = Signal(int)
    reopen_clicked = Signal()
    save_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Label, ...] = ()
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels(["", "id", "name", "locked"])
        self.table.verticalHeader().setVisible(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setMinimumHeight(80)
        self.table.setMaximumHeight(140)
        self.table.setToolTip(
            "Click a label to make it the active one, its colour to change it, its name twice "
            "to rename it; a locked label is never overwritten"
        )
        header = self.table.horizontalHeader()
        for column in (COLOUR, ID, LOCK):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.table.itemChanged.connect(self._changed)
        self.table.itemSelectionChanged.connect(self._selected)
        self.table.cellClicked.connect(self._clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addLayout(self._buttons())

    def show_table(self, table: LabelTable) -> None:
        """Show labels; emits nothing. Only rows that are other ones than before are made."""
        self.table.blockSignals(True)
        if table.labels != self._shown:
            self._show_labels(table.labels)
        row = next(row for row, label in enumerate(table) if label.id == table.active)
        if row != self.table.currentRow() or not self.table.selectedItems():
            self.table.selectRow(row)
        self.table.blockSignals(False)

    def label_of(self, row: int) -> int:
        """Return the label id of a row."""
        item = self.table.item(row, ID)
        return int(item.text()) if item is not None else 0

    def _buttons(self) -> QHBoxLayout:
        layout = QHBoxLayout()
        remove = QPushButton("Remove")
        remove.setToolTip("Remove the active label and its voxels (can be undone)")
        remove.clicked.connect(lambda: self.remove_clicked.emit(self._active()))
        reopen = QPushButton("Re-open")
        reopen.setCheckable(True)
        reopen.setToolTip("Then click on an object on this slice to refine it")
        reopen.clicked.connect(self.reopen_clicked)
        save = QPushButton("Save…")
        save.setToolTip("Save the labels as NIfTI on the image's own grid")
        save.clicked.connect(self.save_clicked)
        self.remove, self.reopen, self.save = remove, reopen, save
        for button in (remove, reopen, save):
            layout.addWidget(button)
        return layout

    def _show_labels(self, labels: tuple[Label, ...]) -> None:
        """Make the rows of these labels out of those that are shown."""
        rows: list[Label | None] = list(self._shown)
        self._shown = labels
        same = (one == other for one, other in zip(rows, labels, strict=False))
        first = sum(1 for _ in takewhile(bool, same))
        while len(rows) < len(labels):
            rows.insert(first, None)
            self.table.insertRow(first)
        while len(rows) > len(labels):
            del rows[first]
            self.table.removeRow(first)
        for row, label in enumerate(labels):
            if rows[row] != label:
                self._show_row(row, label)

    def _show_row(self, row: int, label: Label) -> None:
        colour = QTableWidgetItem(_swatch(label.colour), "")
        colour.setData(Qt.ItemDataRole.UserRole, label.colour)
        colour.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        number = QTableWidgetItem(str(label.id))
        number.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        self._show_lock(row, label)
        for column, item in (
            (COLOUR, colour),
            (ID, number),
            (NAME, QTableWidgetItem(label.name)),
        ):
            self.table.setItem(row, column, item)

    def _show_lock(self, row: int, label: Label) -> None:
        lock = self.table.cellWidget(row, LOCK)
        if not isinstance(lock, QCheckBox):
            lock = QCheckBox()
            lock.setToolTip("Never overwrite this label")
            lock.toggled.connect(partial(self._locked, lock))
            self.table.setCellWidget(row, LOCK, lock)
        lock.setProperty(_LABEL, label.id)  # its row changes where others come and go
        lock.blockSignals(True)
        lock.setChecked(label.locked)
        lock.blockSignals(False)

    def _locked(self, lock: QCheckBox, on: bool) -> None:
        self.locked.emit(lock.property(_LABEL), on)

    def _active(self) -> int:
        return self.label_of(self.table.currentRow())

    def _changed(self, item: QTableWidgetItem) -> None:
        label = self.label_of(item.row())
        if item.column() == NAME:
            name = item.text().strip() or f"label {label}"
            self.table.blockSignals(True)
            item.setText(name)
            self.table.blockSignals(False)
            self.renamed.emit(label, name)

    def _selected(self) -> None:
        if label := self._active():
            self.activated.emit(label)

    def _clicked(self, row: int, column: int) -> None:
        item = self.table.item(row, COLOUR)
        if column != COLOUR or item is None:
            return
        old = QColor(item.data(Qt.ItemDataRole.UserRole))
        chosen = QColorDialog.getColor(old, self, "Colour of the label")
        if chosen.isValid():
            self.recoloured.emit(self.label_of(row), chosen.name())


def _swatch(colour: str) -> QIcon:
    """Return a square of a colour, which stays as it is where its row is selected."""
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(colour))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon

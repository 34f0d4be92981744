"""Which image to annotate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image


class ImagePanel(QWidget):
    """A list of image layers, and a button that opens a file."""

    chosen = Signal(object)  # Image, or None
    open_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._images: list[Image] = []
        self.images = QComboBox()
        self.images.setToolTip("Image layer to annotate: 2D, 3D, or 4D with time first")
        self.images.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.images.currentIndexChanged.connect(self._choose)
        self.open = QPushButton("Open…")
        self.open.setToolTip(
            "Open a NIfTI file or a DICOM folder with napari-samri's own reader, which keeps "
            "the file's grid (dropped files may go to napari's reader instead)"
        )
        self.open.clicked.connect(self.open_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Image"))
        layout.addWidget(self.images, 1)
        layout.addWidget(self.open)

    def show_images(self, images: Sequence[Image], chosen: Image | None) -> None:
        """List images; emits nothing."""
        self._images = list(images)
        self.images.blockSignals(True)
        self.images.clear()
        self.images.addItems([image.name for image in images] or ["open or drop an image"])
        if chosen in self._images:
            self.images.setCurrentIndex(self._images.index(chosen))
        self.images.setEnabled(bool(images))
        self.images.blockSignals(False)

    def _choose(self, index: int) -> None:
        if 0 <= index < len(self._images):
            self.chosen.emit(self._images[index])

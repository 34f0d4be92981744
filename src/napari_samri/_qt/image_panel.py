"""Which image to annotate, and which labels to go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels

NEW_LABELS = "a new layer"


class ImagePanel(QWidget):
    """Lists of image and labels layers, and a button that opens a file."""

    chosen = Signal(object)  # Image, or None
    labels_chosen = Signal(object)  # Labels, labels that are open as Image, or None: a new layer
    open_clicked = Signal()
    insisted = Signal(object)  # Image that looks like labels, but is none

    def __init__(self) -> None:
        super().__init__()
        self._images: list[Image] = []
        self._labels: list[Labels | Image | None] = []
        self.images, self.labels = QComboBox(), QComboBox()
        self.images.setToolTip("Image layer to annotate: 2D, 3D, or 4D with time first")
        self.labels.setToolTip("Labels layer that masks are written to; of the image's shape")
        for box in (self.images, self.labels):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        self.images.activated.connect(self._choose_image)
        self.labels.activated.connect(self._choose_labels)
        self.open = QPushButton("Open…")
        self.open.setToolTip(
            "Open a NIfTI file or a DICOM folder with napari-samri's own reader, which keeps "
            "the file's grid (dropped files may go to napari's reader instead)"
        )
        self.open.clicked.connect(self.open_clicked)
        self._doubtful: Image | None = None
        self.insist = QPushButton("It is an image")
        self.insist.setToolTip("Segment it, though it holds only a few whole numbers")
        self.insist.clicked.connect(self._insist)
        self.insist.hide()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Image"), 0, 0)
        layout.addWidget(self.images, 0, 1)
        layout.addWidget(self.open, 0, 2)
        layout.addWidget(QLabel("Labels"), 1, 0)
        layout.addWidget(self.labels, 1, 1, 1, 2)
        layout.addWidget(self.insist, 2, 1, 1, 2)
        layout.setColumnStretch(1, 1)

    def show_images(self, images: Sequence[Image], chosen: Image | None) -> None:
        """List images; emits nothing."""
        self._images = list(images)
        self.images.clear()
        self.images.addItems([image.name for image in images] or ["open or drop an image"])
        if chosen in self._images:
            self.images.setCurrentIndex(self._images.index(chosen))
        self.images.setEnabled(bool(images))

    def show_doubtful(self, image: Image | None) -> None:
        """Offer to take something for an image that looks like labels, or nothing."""
        self._doubtful = image
        self.insist.setVisible(image is not None)
        if image is not None:
            self.insist.setText(f"'{image.name}' is an image")

    def show_labels(self, layers: Sequence[Labels | Image], chosen: Labels | None) -> None:
        """List labels layers to go on with; emits nothing."""
        self._labels = [*layers, None]
        self.labels.clear()
        self.labels.addItems([*(layer.name for layer in layers), NEW_LABELS])
        self.labels.setCurrentIndex(self._labels.index(chosen))
        self.labels.setEnabled(bool(self._images))

    def _choose_image(self, index: int) -> None:
        if 0 <= index < len(self._images):
            self.chosen.emit(self._images[index])

    def _insist(self) -> None:
        if self._doubtful is not None:
            self.insisted.emit(self._doubtful)

    def _choose_labels(self, index: int) -> None:
        self.labels_chosen.emit(self._labels[index])

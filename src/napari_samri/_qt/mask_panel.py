"""How masks are made: candidates and post-processing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QPushButton, QWidget

if TYPE_CHECKING:
    from napari_samri.session import Preview

CANDIDATES = 3


class MaskPanel(QWidget):
    """Check boxes for candidates, largest part and holes; buttons to choose a candidate."""

    candidates_toggled = Signal(bool)
    post_changed = Signal(bool, bool)  # largest component, fill holes
    candidate_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.multimask = QCheckBox("Three candidates")
        self.multimask.setToolTip("Predict three masks to choose from; useful for a lone point")
        self.multimask.toggled.connect(self._toggle)
        self.largest = QCheckBox("Largest part")
        self.largest.setToolTip("Keep only the largest connected part of each object")
        self.holes = QCheckBox("Fill holes")
        self.holes.setToolTip("Fill what a mask encloses")
        for box in (self.largest, self.holes):
            box.toggled.connect(self._change_post)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column, box in enumerate((self.multimask, self.largest, self.holes)):
            layout.addWidget(box, 0, column)
        self.buttons = []
        for number in range(CANDIDATES):
            button = QPushButton()
            button.setCheckable(True)
            button.setVisible(False)
            button.clicked.connect(lambda _=False, n=number: self.candidate_chosen.emit(n))
            self.buttons.append(button)
            layout.addWidget(button, 1, number)

    def show_post(self, largest: bool, holes: bool) -> None:
        """Show the post-processing; emits nothing."""
        for box, value in ((self.largest, largest), (self.holes, holes)):
            box.blockSignals(True)
            box.setChecked(value)
            box.blockSignals(False)

    def show_preview(self, preview: Preview | None, score_is_stale: bool) -> None:
        """Offer the candidates of a preview."""
        count = len(preview.masks) if preview is not None and self.multimask.isChecked() else 0
        count = 0 if count == 1 else count  # of a re-opened object that nothing corrects yet
        for number, button in enumerate(self.buttons):
            button.setVisible(number < count)
            if preview is not None and number < count:
                score = "" if score_is_stale else f": {preview.scores[number]:.2f}"
                button.setText(f"{number + 1}{score}")
                tip = "Overlap with the truth (IoU) that the model expects of this mask"
                button.setToolTip(tip if score else "Mask that the model offers")
                button.setChecked(number == preview.chosen)

    def _toggle(self, on: bool) -> None:
        if not on:
            self.show_preview(None, False)
        self.candidates_toggled.emit(on)

    def _change_post(self, _: bool) -> None:
        self.post_changed.emit(self.largest.isChecked(), self.holes.isChecked())

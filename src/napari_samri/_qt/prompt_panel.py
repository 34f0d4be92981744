"""What to draw prompts with, and what to do with them."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_samri._napari import POSITIVE, SIGN_COLOURS, shown_key

# (name, layer, napari mode, tooltip)
TOOLS = (
    ("Box", "shapes", "add_rectangle", "Drag a box around an object"),
    ("Point", "points", "add", "Click on an object (positive) or off it (negative)"),
    ("Scribble", "shapes", "add_path", "Draw along an object, or off it, with the button held"),
    ("Diameter", "shapes", "add_line", "Drag along an object's longest diameter (RECIST)"),
    ("Outline", "shapes", "add_polygon", "Outline an object: click around it, double click to end"),
    ("Ellipse", "shapes", "add_ellipse", "Drag an ellipse over an object"),
)
# (intent, title, tooltip)
ACTIONS = (
    ("run", "Run", "Predict the mask of what is drawn on this slice"),
    ("commit", "Commit", "Write the mask as the active label"),
    ("clear", "Clear", "Remove the prompts of this slice"),
    ("undo", "Undo", "Take back the last step: prompt, commit, stroke or label"),
    ("redo", "Redo", "Do again what was taken back"),
    ("next object", "Next object", "Add a label and make it the active one"),
)


class PromptPanel(QWidget):
    """Tools to draw with, the sign, and the actions, with their keys."""

    tool_chosen = Signal(str, str)  # layer, mode
    sign_clicked = Signal()
    triggered = Signal(str)  # intent

    def __init__(self) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.tools: dict[str, QPushButton] = {}
        for number, (name, layer, mode, tip) in enumerate(TOOLS):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, n=name, a=layer, m=mode: self._choose(n, a, m))
            self.tools[name] = button
            layout.addWidget(button, number // 3, 2 * (number % 3), 1, 2)
        self.sign = QPushButton()
        self.sign.setToolTip("Whether points and scribbles are on the object or off it")
        self.sign.clicked.connect(self.sign_clicked)
        layout.addWidget(self.sign, 2, 0, 1, 6)
        self.actions_: dict[str, QPushButton] = {}
        for number, (intent, title, tip) in enumerate(ACTIONS):
            button = QPushButton(f"{title} ({shown_key(intent)})")
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, i=intent: self.triggered.emit(i))
            self.actions_[intent] = button
            # Two columns of actions over the three of tools.
            layout.addWidget(button, 3 + number // 2, 3 * (number % 2), 1, 3)
        self.show_sign(POSITIVE)

    def show_sign(self, sign: str) -> None:
        """Show the sign of what is drawn next."""
        self.sign.setText(f"{sign.capitalize()} ({shown_key('toggle sign')})")
        self.sign.setStyleSheet(f"color: black; background-color: {SIGN_COLOURS[sign]};")

    def show_history(self, can_undo: bool, can_redo: bool) -> None:
        """Enable undo and redo."""
        self.actions_["undo"].setEnabled(can_undo)
        self.actions_["redo"].setEnabled(can_redo)

    def show_tool(self, layer: str, mode: str) -> None:
        """Show which tool is selected."""
        for name, tool_layer, tool_mode, _ in TOOLS:
            self.tools[name].setChecked((layer, mode) == (tool_layer, tool_mode))

    def _choose(self, name: str, layer: str, mode: str) -> None:
        for other, button in self.tools.items():
            button.setChecked(other == name)
        self.tool_chosen.emit(layer, mode)

"""Learning curves, drawn in the colours of napari's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize

from napari_samri.training import draw_curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEIGHT = 300
# Distinct on dark and light backgrounds, and to readers who see no red or no green.
_COLOURS = ("#2f8fd8", "#e08a1e", "#1fa187")


class CurvesPlot(FigureCanvasQTAgg):
    """Loss above, Dice below.

    Parameters
    ----------
    theme : str
        Name of napari's theme.
    """

    def __init__(self, theme: str) -> None:
        super().__init__(Figure(figsize=(3, 3), dpi=100))
        self.setMinimumHeight(_HEIGHT)
        self.setToolTip("Training loss, and Dice of the masks that are not trained on, by epoch")
        self._theme = theme
        self._points: tuple[Mapping[str, float], ...] = ()
        self.setVisible(False)

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Be as wide as there is room."""
        return QSize(200, _HEIGHT)

    minimumSizeHint = sizeHint  # noqa: N815  # Qt's name

    def show_points(self, points: Sequence[Mapping[str, float]]) -> None:
        """Draw curves, if they are others than before."""
        if tuple(points) == self._points:
            return
        self._points = tuple(points)
        self._draw()

    def show_theme(self, theme: str) -> None:
        """Change to the colours of another theme."""
        self._theme = theme
        self._draw()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Lay out again."""
        super().resizeEvent(event)
        if self._points:
            self.figure.tight_layout()

    def _draw(self) -> None:
        self.setVisible(bool(self._points))
        if not self._points:
            return
        draw_curves(self.figure, self._points, stacked=True)
        theme = get_theme(self._theme)
        back, ink, frame = (_hex(theme, name) for name in ("background", "text", "secondary"))
        self.figure.set_facecolor(back)
        number = 0
        for axes in self.figure.axes:
            axes.set_facecolor(back)
            axes.tick_params(colors=ink, labelsize=8)
            axes.xaxis.label.set_color(ink)
            axes.title.set(color=ink, fontsize=9)
            axes.xaxis.label.set_fontsize(8)
            for spine in axes.spines.values():
                spine.set_color(frame)
            for line in axes.lines:
                line.set_color(_COLOURS[number % len(_COLOURS)])
                number += 1
            legend = axes.get_legend()
            if legend is not None:
                _recolour(legend, axes.lines, ink)
        self.figure.tight_layout()
        self.draw_idle()


def _recolour(legend: Any, lines: Any, ink: str) -> None:
    for text in legend.get_texts():
        text.set(color=ink, fontsize=8)
    for handle, line in zip(legend.legend_handles, lines, strict=True):
        handle.set_color(line.get_color())


def _hex(theme: Any, name: str) -> str:
    return str(getattr(theme, name).as_hex())

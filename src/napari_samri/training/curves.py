"""Learning curves: a line of JSON per epoch, and a picture of them."""

from __future__ import annotations

import json
import math
from os import SEEK_END
from typing import IO, TYPE_CHECKING, Any

from napari_samri.errors import StoreError
from napari_samri.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_samri.jobs.events import Measured

CURVES = "curves.jsonl"
PICTURE = "curves.png"
LOSS = "loss"
_WIDTH, _HEIGHT = 8.0, 3.2  # inches


def add_point(out: Path, point: Measured) -> None:
    """Append an epoch to a run's curves.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    values = {name: value for name, value in point.values.items() if math.isfinite(value)}
    try:
        with (out / CURVES).open("a+b") as file:
            if _is_torn(file):  # the run was killed in the middle of a line
                file.write(b"\n")
            file.write(json.dumps({"epoch": point.at, **values}).encode() + b"\n")
    except OSError as error:
        message = f"{out / CURVES}: cannot be written ({error.strerror or error}). Make room."
        raise StoreError(message) from error


def _is_torn(file: IO[bytes]) -> bool:
    if not file.seek(0, SEEK_END):
        return False
    file.seek(-1, SEEK_END)
    return file.read(1) != b"\n"


def read_curves(out: Path) -> list[dict[str, float]]:
    """Return the epochs of a run, each once: the last line that tells of it counts.

    A run that was killed may have told of an epoch twice, or have left half a line.
    """
    try:
        lines = (out / CURVES).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    points: dict[float, dict[str, float]] = {}
    for line in lines:
        try:
            point = json.loads(line)
            points[point["epoch"]] = point
        except (ValueError, TypeError, LookupError):
            continue
    return [points[epoch] for epoch in sorted(points)]


def draw_curves(
    figure: Figure, points: Sequence[Mapping[str, float]], *, stacked: bool = False
) -> None:
    """Draw the loss on the left of a figure, or at its top, and Dice by split beside it."""
    figure.clear()
    left, right = figure.subplots(2, 1, sharex=True) if stacked else figure.subplots(1, 2)
    names = dict.fromkeys(name for point in points for name in point if name != "epoch")
    for name in names:
        known = [(point["epoch"], point[name]) for point in points if name in point]
        axes: Any = left if name == LOSS else right
        axes.plot(*zip(*known, strict=True), marker=".", label=name)
    left.set(title="training loss", xlabel="" if stacked else "epoch")
    right.set(title="Dice", xlabel="epoch")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    figure.tight_layout()


def save_picture(out: Path) -> None:
    """Write the picture of a run's curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=120)
    FigureCanvasAgg(figure)
    draw_curves(figure, read_curves(out))
    with replacing(out / PICTURE) as temporary:
        figure.savefig(temporary, format="png")

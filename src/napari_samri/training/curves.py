"""Learning curves: a line of JSON per epoch, and a picture of them."""

from __future__ import annotations

import json
import logging
import math
from functools import lru_cache
from os import SEEK_END
from typing import IO, TYPE_CHECKING, Any

from napari_samri.atomic import replacing
from napari_samri.codec import map_of, number, parse_json, read_bytes, read_each
from napari_samri.errors import InputError, SamriError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_samri.jobs import Measured

logger = logging.getLogger(__name__)

CURVES = "curves.jsonl"
PICTURE = "curves.png"
LOSS = "loss"
_LONGEST_LINE_BYTES = 1 << 16
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

    A run that was killed may have told of an epoch twice, or have left half a line. Damaged lines
    are passed over, and told of in the log.
    """
    path = out / CURVES
    try:
        lines = read_bytes(path).split(b"\n")
    except SamriError as error:
        if path.exists():
            _tell_once(str(error))
        return []
    if not lines[-1].endswith(b"}"):  # nothing, or half a line
        lines.pop()
    found = read_each(enumerate(lines, 1), lambda line: _point(path, *line))
    for damaged in found.bad:
        _tell_once(damaged.reason)
    points = {point["epoch"]: point for point in found.good}
    return [points[epoch] for epoch in sorted(points)]


def _point(path: Path, at: int, line: bytes) -> dict[str, float] | None:
    """Return the epoch of a line, None of an empty one."""
    if not line.strip():
        return None
    source = f"{path}: line {at}"
    point = parse_json(line, map_of(number()), source, _LONGEST_LINE_BYTES)
    if "epoch" not in point:
        message = f"{source}: has no 'epoch'; expected one."
        raise InputError(message)
    return point


@lru_cache(maxsize=1000)
def _tell_once(reason: str) -> None:
    """Log what is passed over: widgets read the curves again and again."""
    logger.warning("left out of the curves: %s", reason)


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

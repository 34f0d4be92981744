"""Requests to segment slices of a file, in the file's own voxel indices, and their JSON form.

.. code-block:: json

    {"format": "napari-samri-prompts", "version": 1, "prompts": [
      {"label": 1, "axis": 2, "index": 90, "boxes": [[60, 80, 120, 150]]},
      {"label": 2, "axis": 2, "index": 90, "points": [[85, 100, 1], [40, 41, 0]]}]}
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError
from napari_samri.prompts.fields import read_list, read_numbers, read_signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMAT = "napari-samri-prompts"
VERSION = 1
MAX_LABEL = 65535


@dataclass(frozen=True)
class SliceRequest:
    """Boxes and points for one label on one slice of a file.

    Parameters
    ----------
    axis, index : int
        The slice: its axis among the file's first three, and its index along it.
    boxes : tuple of (LO0, LO1, HI0, HI1)
        Inclusive voxel indices along the two other axes, in ascending order of the axes.
    points : tuple of (P0, P1, 1 or 0)
        Voxel indices likewise; 1 is positive, 0 negative.
    label : int
        What the mask is written as.
    time : int or None
        Time point of a 4D file.
    """

    axis: int
    index: int
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    points: tuple[tuple[float, float, int], ...] = ()
    label: int = 1
    time: int | None = None


def read_requests(path: Path) -> tuple[SliceRequest, ...]:
    """Read the requests of a JSON file.

    Raises
    ------
    InputError
        If the file is missing, no JSON, or not of this format; the message names the entry.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        message = f"{path}: there is no such file; expected a JSON file of prompts."
        raise InputError(message) from error
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, or no UTF-8
        message = f"{path}: not a readable JSON file ({error})."
        raise InputError(message) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        message = f'{path}: expected a JSON object with "format": "{FORMAT}".'
        raise InputError(message)
    if content.get("version") != VERSION:
        message = f"{path}: version {content.get('version')!r} found, {VERSION} expected."
        raise InputError(message)
    entries = content.get("prompts")
    if not isinstance(entries, list) or not entries:
        message = f'{path}: "prompts" is empty; expected a list with at least one entry.'
        raise InputError(message)
    return tuple(_request(entry, f"{path}: prompt {n}") for n, entry in enumerate(entries))


def _request(entry: Any, where: str) -> SliceRequest:
    if not isinstance(entry, dict):
        message = f"{where} is a {type(entry).__name__}; expected an object."
        raise InputError(message)
    known = {"axis", "index", "boxes", "points", "label", "time"}
    if unknown := sorted(entry.keys() - known):
        message = f"{where} has unknown fields {unknown}; expected {sorted(known)}."
        raise InputError(message)
    return SliceRequest(
        axis=_integer(entry, "axis", where, 0, 2),
        index=_integer(entry, "index", where, 0),
        boxes=tuple(
            read_numbers(box, 4, f"{where}, box") for box in read_list(entry, "boxes", where)
        ),
        points=tuple(
            _point(point, f"{where}, point") for point in read_list(entry, "points", where)
        ),
        label=_integer({"label": 1} | entry, "label", where, 1, MAX_LABEL),
        time=_integer(entry, "time", where, 0) if entry.get("time") is not None else None,
    )


def _integer(
    entry: dict[str, Any], name: str, where: str, low: int, high: int | None = None
) -> int:
    value = entry.get(name)
    top = math.inf if high is None else high
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= top:
        limit = f"{low} to {high}" if high is not None else f"at least {low}"
        message = f'{where}: "{name}" is {value!r}; expected an integer, {limit}.'
        raise InputError(message)
    return value


def _point(value: Sequence[Any], where: str) -> tuple[float, float, int]:
    first, second, sign = read_signed(value, where)
    return first, second, int(sign)

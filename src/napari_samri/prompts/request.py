"""Requests to segment slices of a file, in the file's own voxel indices, and their JSON form.

.. code-block:: json

    {"format": "napari-samri-prompts", "version": 1, "prompts": [
      {"label": 1, "axis": 2, "index": 90, "boxes": [[60, 80, 120, 150]]},
      {"label": 2, "axis": 2, "index": 90, "points": [[85, 100, 1], [40, 41, 0]]}]}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from napari_samri.codec import integer, list_of, read_json, reader_of, record
from napari_samri.geometry import MAX_LABEL
from napari_samri.prompts.fields import FOUR, SIGNED

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "napari-samri-prompts"
VERSION = 1
_HINT = f'Expected a JSON file of prompts, an object with "format": "{FORMAT}".'
_Index = Annotated[int, integer(0)]
_Corners = Annotated[tuple[float, float, float, float], FOUR]
_Signed = Annotated[tuple[float, float, int], SIGNED]


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

    axis: Annotated[int, integer(0, 2)]
    index: _Index
    boxes: tuple[_Corners, ...] = ()
    points: tuple[_Signed, ...] = ()
    label: Annotated[int, integer(1, MAX_LABEL)] = 1
    time: _Index | None = None


_DOCUMENT = record(
    lambda prompts: prompts,
    {"prompts": list_of(reader_of(SliceRequest), at_least=1)},
    marks={"format": FORMAT, "version": VERSION},
)


def read_requests(path: Path) -> tuple[SliceRequest, ...]:
    """Read the requests of a JSON file.

    Raises
    ------
    InputError
        If the file is missing, no JSON, or not of this format; the message names the entry.
    """
    requests: tuple[SliceRequest, ...] = read_json(path, _DOCUMENT, hint=_HINT)
    return requests

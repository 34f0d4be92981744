"""A previewed mask turned into an edit of the label array, and the record of how it came about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError
from napari_samri.session.edits import Edit, paint_edit
from napari_samri.session.label_array import plane_pixels, plane_voxels
from napari_samri.session.state import Commit

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.segment import ModelInfo
    from napari_samri.session.request import Preview

    Array = NDArray[Any]


def commit_edit(
    labels: Array, volume: Volume, preview: Preview, label: int, locked: Collection[int]
) -> Edit:
    """Return the edit that writes a mask as a label, in place of the object it refines, if any.

    Raises
    ------
    InputError
        If the mask is empty, or all of it lies on locked labels.
    """
    request, mask = preview.request, preview.mask
    before = plane_pixels(labels, volume, request.plane)
    after = before.copy()
    if request.reopened is not None:
        # Its own label, also where another one was chosen for it meanwhile.
        after[request.reopened.mask.array & (before == request.reopened.label)] = 0
    after[mask] = label
    if not mask.any():
        message = "the mask is empty, so nothing was committed; try a box or more points."
        raise InputError(message)
    rows, columns = np.nonzero(before != after)
    where = plane_voxels(labels, request.plane, rows, columns)
    edit = paint_edit(labels, where, after[rows, columns], locked)
    if len(rows) and not len(edit.where):
        message = (
            "all of the mask lies on locked labels, so nothing was committed; unlock them or "
            "draw elsewhere."
        )
        raise InputError(message)
    return edit


def commit_record(preview: Preview, label: int, voxels: int, info: ModelInfo | None) -> Commit:
    """Return how a committed mask came about."""
    request = preview.request
    names = ("largest_component", "fill_holes")
    stale = info is None or info.score_is_stale
    return Commit(
        plane=request.plane,
        label=label,
        voxels=voxels,
        prompts=request.prompts,
        model=info.id if info is not None else request.choice.model,
        encoder=info.encoder if info is not None else "",
        score=None if stale else round(float(preview.scores[preview.chosen]), 4),
        post=tuple(name for name in names if getattr(request.post, name)),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )

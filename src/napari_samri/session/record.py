"""A session's document as JSON values, for journals and for the files beside saved labels."""

from __future__ import annotations

import base64
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.codec import (
    LIMIT_BYTES,
    integer,
    list_of,
    number,
    optional,
    record,
    row_of,
    text,
)
from napari_samri.geometry import Plane
from napari_samri.prompts import PROMPT_SET, MaskRegion, to_json
from napari_samri.session.document import Commit, Document, Reopened
from napari_samri.session.labels import MAX_LABEL, TABLE

if TYPE_CHECKING:
    from napari_samri.prompts import PromptSet
    from napari_samri.session.labels import LabelTable


def document_to_json(document: Document) -> dict[str, Any]:
    """Return a document, but for its commits, as JSON values."""
    drawn = [
        {"plane": plane_to_json(plane), "prompts": to_json(prompts)}
        for plane, prompts in document.drawn.items()
    ]
    reopened = [
        {"plane": plane_to_json(plane), "label": entry.label, "mask": _mask_to_json(entry.mask)}
        for plane, entry in document.reopened.items()
    ]
    return {"drawn": drawn, "reopened": reopened, "table": document.table.to_json()}


def commit_to_json(commit: Commit) -> dict[str, Any]:
    """Return a commit as JSON values."""
    return {
        "plane": plane_to_json(commit.plane),
        "label": commit.label,
        "voxels": commit.voxels,
        "prompts": to_json(commit.prompts),
        "model": commit.model,
        "encoder": commit.encoder,
        "score": commit.score if commit.score is None or isfinite(commit.score) else None,
        "post": list(commit.post),
        "time": commit.time,
    }


def plane_to_json(plane: Plane) -> dict[str, Any]:
    """Return a plane, in display order, as JSON values."""
    time = None if plane.time is None else int(plane.time)
    return {"axis": int(plane.axis), "index": int(plane.index), "time": time}


def _mask_to_json(region: MaskRegion) -> dict[str, Any]:
    array = region.array
    return {
        "shape": list(array.shape),
        "bits": base64.b64encode(np.packbits(array).tobytes()).decode(),
    }


def _mask(shape: tuple[int, int], bits: str) -> MaskRegion:
    packed = base64.b64decode(bits, validate=True)
    spare = 8 * len(packed) - shape[0] * shape[1]
    if not 0 <= spare < 8 or (spare and packed[-1] & ((1 << spare) - 1)):
        message = f"{len(packed)} bytes are no mask of {shape[0]} x {shape[1]} pixels"
        raise ValueError(message)
    return MaskRegion(packed, shape)


def _document(
    drawn: tuple[tuple[Plane, PromptSet], ...],
    reopened: tuple[tuple[Plane, Reopened], ...],
    table: LabelTable,
) -> Document:
    return Document(dict(drawn), dict(reopened), table)


_PLANE = record(Plane, {"axis": integer(0, 2), "index": integer(0)}, {"time": optional(integer(0))})
_MASK = record(_mask, {"shape": row_of(integer(0), integer(0)), "bits": text(LIMIT_BYTES)})
_DRAWN = record(lambda plane, prompts: (plane, prompts), {"plane": _PLANE, "prompts": PROMPT_SET})
_REOPENED = record(
    lambda plane, label, mask: (plane, Reopened(label, mask)),
    {"plane": _PLANE, "label": integer(1, MAX_LABEL), "mask": _MASK},
)
# Reads what `document_to_json` wrote.
DOCUMENT = record(
    _document, {"drawn": list_of(_DRAWN), "reopened": list_of(_REOPENED), "table": TABLE}
)
# Reads what `commit_to_json` wrote.
COMMIT = record(
    Commit,
    {
        "plane": _PLANE,
        "label": integer(0, MAX_LABEL),
        "voxels": integer(0),
        "prompts": PROMPT_SET,
        "model": text(),
        "encoder": text(),
        "score": optional(number()),
        "post": list_of(text()),
        "time": text(),
    },
)

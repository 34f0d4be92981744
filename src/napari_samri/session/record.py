"""A session's document as JSON values, for journals and for the files beside saved labels."""

from __future__ import annotations

import base64
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError
from napari_samri.geometry import Plane
from napari_samri.prompts import MaskRegion, from_json, to_json
from napari_samri.session.labels import LabelTable
from napari_samri.session.state import Commit, Document, Reopened

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def document_from_json(content: Any, commits: Sequence[Commit] = ()) -> Document:
    """Return the document of JSON values.

    Raises
    ------
    InputError
        If they are not those of `document_to_json`.
    """
    try:
        drawn = {
            plane_from_json(entry["plane"]): from_json(entry["prompts"])
            for entry in content["drawn"]
        }
        reopened = {
            plane_from_json(entry["plane"]): Reopened(
                int(entry["label"]), _mask_from_json(entry["mask"])
            )
            for entry in content["reopened"]
        }
        table = LabelTable.from_json(content["table"])
    except (KeyError, TypeError, ValueError) as error:
        message = f"the record of a session is not readable ({error!r})."
        raise InputError(message) from error
    return Document(drawn, reopened, table, tuple(commits))


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


def commit_from_json(content: Any) -> Commit:
    """Return the commit of JSON values.

    Raises
    ------
    InputError
        If they are not those of `commit_to_json`.
    """
    try:
        return Commit(
            plane=plane_from_json(content["plane"]),
            label=int(content["label"]),
            voxels=int(content["voxels"]),
            prompts=from_json(content["prompts"]),
            model=str(content["model"]),
            encoder=str(content["encoder"]),
            score=None if content["score"] is None else float(content["score"]),
            post=tuple(str(name) for name in content["post"]),
            time=str(content["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"the record of a commit is not readable ({error!r})."
        raise InputError(message) from error


def plane_to_json(plane: Plane) -> dict[str, Any]:
    """Return a plane, in display order, as JSON values."""
    time = None if plane.time is None else int(plane.time)
    return {"axis": int(plane.axis), "index": int(plane.index), "time": time}


def plane_from_json(content: Any) -> Plane:
    """Return the plane of JSON values; KeyError, TypeError or ValueError if it is none."""
    time = content["time"]
    return Plane(int(content["axis"]), int(content["index"]), None if time is None else int(time))


def _mask_to_json(region: MaskRegion) -> dict[str, Any]:
    array = region.array
    return {
        "shape": list(array.shape),
        "bits": base64.b64encode(np.packbits(array).tobytes()).decode(),
    }


def _mask_from_json(content: Any) -> MaskRegion:
    rows, columns = (int(size) for size in content["shape"])
    packed = np.frombuffer(base64.b64decode(content["bits"], validate=True), np.uint8)
    bits = np.unpackbits(packed, count=rows * columns)
    return MaskRegion.from_array(bits.reshape(rows, columns).astype(bool))

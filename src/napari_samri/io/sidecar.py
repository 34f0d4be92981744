"""The file beside saved labels: names, colours and locks, and how each mask was made.

``NAME.nii.gz`` has ``NAME.samri.json``. It holds nothing about the patient.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from napari_samri.atomic import replacing
from napari_samri.codec import read_json
from napari_samri.errors import MissingFileError
from napari_samri.filenames import NIFTI_SUFFIXES, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from napari_samri.codec import Reader

T = TypeVar("T")

FORMAT = "napari-samri-session"
VERSION = 1
MARKS = {"format": FORMAT, "version": VERSION}
SUFFIX = ".samri.json"
# Long scribbles of many commits take room.
LIMIT_BYTES = 256 << 20
_HINT = "Names, colours and locks of these labels are unknown; the labels are as they were saved."


def sidecar_path(labels: Path) -> Path:
    """Return the name of the file beside labels."""
    return labels.with_name(stem_of(labels, NIFTI_SUFFIXES) + SUFFIX)


def writing_sidecar(labels: Path, content: dict[str, Any]) -> AbstractContextManager[None]:
    """Write the file beside labels, which appears only if the block succeeds.

    Raises
    ------
    StoreError
        If it cannot be written; what was there before is still there.
    """
    return _writing(sidecar_path(labels), content)


def read_sidecar(labels: Path, schema: Reader[T]) -> T | None:
    """Return what the file beside labels holds, or None if there is none.

    Parameters
    ----------
    labels : pathlib.Path
    schema : Reader
        Of the object that was written; its marks should be `MARKS`.

    Raises
    ------
    InputError
        If it is not readable, or not what the schema asks for.
    """
    path = sidecar_path(labels)
    try:
        return read_json(path, schema, LIMIT_BYTES, hint=_HINT)
    except MissingFileError:
        return None


@contextmanager
def _writing(path: Path, content: dict[str, Any]) -> Iterator[None]:
    with replacing(path, durable=True) as temporary:
        text = json.dumps({**MARKS, **content}, indent=1)
        temporary.write_text(text, encoding="utf-8")
        yield

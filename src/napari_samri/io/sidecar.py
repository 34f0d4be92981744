"""The file beside saved labels: names, colours and locks, and how each mask came about.

``NAME.nii.gz`` has ``NAME.samri.json``. It holds nothing about the patient.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError
from napari_samri.filenames import NIFTI_SUFFIXES, stem_of
from napari_samri.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

FORMAT = "napari-samri-session"
VERSION = 1
SUFFIX = ".samri.json"


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


def read_sidecar(labels: Path) -> dict[str, Any] | None:
    """Return what the file beside labels holds, or None if there is none.

    Raises
    ------
    InputError
        If it is not of this format.
    """
    path = sidecar_path(labels)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path}: not a readable JSON file ({error})."
        raise InputError(message) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        message = f'{path}: expected a JSON object with "format": "{FORMAT}".'
        raise InputError(message)
    if content.get("version") != VERSION:
        message = f"{path}: version {content.get('version')!r} found, {VERSION} expected."
        raise InputError(message)
    return content


@contextmanager
def _writing(path: Path, content: dict[str, Any]) -> Iterator[None]:
    with replacing(path) as temporary:
        text = json.dumps({"format": FORMAT, "version": VERSION, **content}, indent=1)
        temporary.write_text(text, encoding="utf-8")
        yield

"""Files that appear whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file beside `path`, which replaces `path` at the end.

    If anything fails on the way, the temporary file goes and `path` stays as it was.

    Raises
    ------
    StoreError
        If the folder is missing or not writable, or the disk is full.
    """
    suffixes = "".join(path.suffixes[-2:])
    temporary = path.with_name(f".{uuid4().hex}{suffixes}")
    if path.is_dir():
        message = f"{path}: is a folder; expected the name of a file to write."
        raise StoreError(message)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        message = (
            f"{path}: cannot be written ({error.strerror or error}). Nothing was changed. "
            "Check that the folder exists, is writable and has room."
        )
        raise StoreError(message) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, if it is not there.

    Raises
    ------
    StoreError
        If that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{path}: the folder cannot be made ({error.strerror or error})."
        raise StoreError(message) from error

"""Which file a name leads to, and whether that may be replaced."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

# As many as Linux follows.
_MOST_LINKS = 40


def check_name(path: Path) -> None:
    """Refuse a name that no file can have.

    Raises
    ------
    StoreError
    """
    if "\0" in str(path):
        message = f"{str(path)!r}: a null character is in this name, and no file can have one."
        raise StoreError(message)


def follow_links(path: Path) -> Path:
    """Return what a name leads to: itself, unless it is a symbolic link.

    What it leads to need not exist. Links among its folders are left to the system.

    Raises
    ------
    StoreError
        If links lead in a circle.
    """
    target = path
    for _ in range(_MOST_LINKS):
        try:
            link = os.readlink(target)
        except OSError:  # no link, or nothing there
            return target
        target = target.parent / link
    message = f"{path}: its symbolic links lead in a circle; expected one that leads to a file."
    raise StoreError(message)


def check_target(target: Path) -> os.stat_result | None:
    """Return the state of a file that may be replaced, or None if nothing is there.

    Raises
    ------
    StoreError
        If it is a folder, a device or the like, or read-only: replacing needs only a folder that
        is writable, but whoever made a file read-only meant it to stay.
    """
    try:
        state = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(state.st_mode):
        message = f"{target}: is a folder; expected the name of a file to write."
        raise StoreError(message)
    if not stat.S_ISREG(state.st_mode):
        message = (
            f"{target}: is a device, a pipe or a socket; expected the name of a file to write."
        )
        raise StoreError(message)
    if not os.access(target, os.W_OK):
        message = (
            f"{target}: is there and read-only, so it was left as it is. Make it writable to "
            "replace it, or choose another name."
        )
        raise StoreError(message)
    return state

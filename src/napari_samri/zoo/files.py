"""Files that are opened by path: there, and no pipe or device, reading which might never end."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from napari_samri.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_file(path: Path, expected: str) -> None:
    """Refuse what is no ordinary file, without opening it; links are followed.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it is a folder, a pipe, a socket or a device, or its name can be no file's.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        message = f"{path}: there is no such file; expected {expected}."
        raise MissingFileError(message) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        message = f"{str(path)!r}: cannot be read ({reason}); expected {expected}."
        raise InputError(message) from error
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "no ordinary file")
        message = f"{path}: is {kind}; expected {expected}."
        raise InputError(message)

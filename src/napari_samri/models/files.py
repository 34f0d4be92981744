"""Files that are opened by path: there, whole, and no pipe or device, whose end never comes."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from napari_samri.codec import matches_digest
from napari_samri.errors import InputError, MissingFileError, ModelError

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


def check_digest(path: Path) -> None:
    """Refuse a safetensors file whose bytes are not those that the digest in it is of.

    Files without one, of other programs and of earlier versions, pass.

    Raises
    ------
    ModelError
    """
    try:
        matches = matches_digest(path)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise ModelError(message) from error
    if matches is False:
        message = (
            f"{path}: damaged or altered: the digest (sha256) of its bytes is not the one that "
            "was written with them. Get the file again from where it came from, or train it again."
        )
        raise ModelError(message)

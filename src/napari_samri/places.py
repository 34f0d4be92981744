"""The user's folders: where embeddings, models, the state of work and settings are kept.

References
----------
XDG Base Directory Specification, which says to ignore relative paths:
https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Literal

from napari_samri.errors import InputWarning, StoreError
from napari_samri.filenames import expand_user

APPLICATION = "napari-samri"
Kind = Literal["cache", "data", "state", "config"]


def user_folder(kind: Kind, variable: str) -> Path:
    """Return one of the user's folders; it may not exist yet.

    Parameters
    ----------
    kind : str
        What is kept there, as platformdirs calls it: ``cache``, ``data``, ``state``, ``config``.
    variable : str
        Environment variable that names the folder, whatever the system says.

    Returns
    -------
    Path
        Where there is no home folder, or nothing may be written in it (containers, cluster
        jobs), a private folder among the temporary files; an `InputWarning` then says so, once.

    Raises
    ------
    InputError
        If the variable names a folder of an unknown user.
    StoreError
        If there is no place at all.
    """
    if folder := os.environ.get(variable):
        return expand_user(folder)
    folder_of_user = _folder_of_user(kind)
    if folder_of_user is not None and _may_be_used(folder_of_user):
        return folder_of_user
    fallback = _make_private_folder() / kind
    _tell(kind, folder_of_user, fallback, variable)
    return fallback


def home_folder() -> Path:
    """Return the user's home, or where there is none, the current folder."""
    try:
        return Path.home()
    except (RuntimeError, KeyError):  # no HOME, and no such user id in the user database
        return Path.cwd()


def _folder_of_user(kind: Kind) -> Path | None:
    import platformdirs

    find = getattr(platformdirs, f"user_{kind}_path")
    try:
        folder: Path = find(APPLICATION, appauthor=False)
    except (RuntimeError, KeyError):
        return None
    return folder if folder.is_absolute() else None


def _may_be_used(folder: Path) -> bool:
    """Tell whether a folder is there, to be read at least, or could be made."""
    try:
        if folder.is_dir():
            return True
        above = next(parent for parent in folder.parents if parent.exists())
    except OSError:
        return False
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _make_private_folder() -> Path:
    """Make a folder among the temporary files that no other user can read, or return ours."""
    try:
        root = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        message = (
            "there is neither a home folder nor one for temporary files that can be written; "
            "expected one of them. Set HOME or TMPDIR."
        )
        raise StoreError(message) from error
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = root / f"{APPLICATION}-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        message = f"{folder}: cannot be made ({error.strerror or error}). Set HOME or TMPDIR."
        raise StoreError(message) from error
    is_ours = not hasattr(os, "getuid") or (found.st_uid == user and not found.st_mode & 0o077)
    if not stat.S_ISDIR(found.st_mode) or not is_ours:
        message = (
            f"{folder}: is not a folder of yours that no other user can read; what is kept there "
            "could be another user's. Remove it, or set HOME or TMPDIR."
        )
        raise StoreError(message)
    return folder


@cache
def _tell(kind: Kind, folder_of_user: Path | None, fallback: Path, variable: str) -> None:
    why = (
        f"{folder_of_user} cannot be made"
        if folder_of_user is not None
        else "there is no home folder"
    )
    message = (
        f"{why}, so the {kind} folder is {fallback}, which may be "
        f"emptied at any time. Set {variable} to a folder that stays."
    )
    warnings.warn(message, InputWarning, stacklevel=4)

"""A file is written beside the one that it replaces, and takes its place when it is whole."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from napari_samri.atomic.attributes import keep_attributes
from napari_samri.atomic.leftovers import own_file, remove_leftovers
from napari_samri.atomic.target import check_name, check_target, follow_links
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# For a new file the umask takes bits away; what replaces another file is nobody else's to read
# until it has that file's permissions.
_NEW, _REPLACING = 0o666, 0o600


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give the path of an empty temporary file beside `path`, which replaces it at the end.

    If anything fails on the way, the temporary file goes and `path` stays as it was. What a save
    of the same file left behind when it was killed is removed first.

    A symbolic link stays, and what it leads to is replaced (or made, if it leads nowhere).
    Permissions, extended attributes and, where the system lets us, owner and group stay those of
    the file that is replaced. It is a new file all the same: another name of the old one (a hard
    link) goes on naming the old content.

    Parameters
    ----------
    path : path
    durable : bool
        Wait until the disk has the content, so that a crash of the machine cannot lose it. For
        what cannot be made again.

    Yields
    ------
    path
        Has the suffixes of `path`, and is to be written in place.

    Raises
    ------
    StoreError
        If the folder is missing or not writable, the file is read-only, or the disk is full.
    """
    check_name(path)
    target = follow_links(path)
    try:
        old = check_target(target)
        remove_leftovers(target)
        with own_file(target, _NEW if old is None else _REPLACING) as temporary:
            yield temporary
            if old is not None:
                keep_attributes(target, old, temporary)
            _put_in_place(temporary, target, durable=durable)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        message = (
            f"{_named(path, target)}: cannot be written ({error.strerror or error}). Nothing was "
            "changed. Check that the folder exists, is writable and has room."
        )
        raise StoreError(message) from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, if it is not there.

    Raises
    ------
    StoreError
        If that is not possible.
    """
    check_name(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{path}: the folder cannot be made ({error.strerror or error})."
        raise StoreError(message) from error


def _put_in_place(temporary: Path, target: Path, *, durable: bool) -> None:
    if durable:
        _flush(temporary, os.O_RDWR)
    temporary.replace(target)
    if durable:
        with suppress(OSError):  # some systems cannot flush folders; the file is in its place
            _flush(target.parent, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(path: Path, target: Path) -> str:
    return f"{path}" if path == target else f"{path} (a link to {target})"

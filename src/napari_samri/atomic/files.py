"""Files that are written beside the one that they replace, and take its place when complete."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from napari_samri.atomic.leftovers import own_file, remove_leftovers
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# For a new file the umask takes bits away; what replaces another file can be read by its
# owner alone until it has that file's permissions.
_NEW, _REPLACING = 0o666, 0o600


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give the path of an empty temporary file beside `path`, which replaces it at the end.

    If anything fails, the temporary file is deleted and `path` stays as it was. Leftovers of
    earlier writers of the same file that were killed are removed first.

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
        is writable, but a read-only file is meant to stay.
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


# Access control lists are among the extended attributes of Linux.
_ACCESS_LIST = "system.posix_acl_access"


def keep_attributes(old: Path, state: os.stat_result, new: Path) -> None:
    """Give a new file the owner, permissions and extended attributes of the one it replaces.

    Only the administrator may give files away, and others may choose among their own groups. In
    another group, the new file grants no more than the old one did to everybody: its permissions
    were meant for the other group's members.

    Parameters
    ----------
    old : path
    state : os.stat_result
        Of the old file.
    new : path
        Of the same folder.
    """
    mode = stat.S_IMODE(state.st_mode)
    if sys.platform == "win32":
        new.chmod(mode)
        return
    _keep_owner(new, state)
    found = new.stat()
    same_group = found.st_gid == state.st_gid
    if not same_group:
        mode = (mode & ~stat.S_IRWXG) | ((mode & stat.S_IRWXO) << 3)
    if not same_group or found.st_uid != state.st_uid:
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    if sys.platform == "linux":
        _keep_extended(old, new, access=same_group)
    if found.st_mode != mode:
        new.chmod(mode)


def _keep_owner(new: Path, state: os.stat_result) -> None:
    found = new.stat()
    if sys.platform == "win32" or (found.st_uid, found.st_gid) == (state.st_uid, state.st_gid):
        return
    try:
        os.chown(new, state.st_uid, state.st_gid)
    except OSError:
        with suppress(OSError):
            os.chown(new, -1, state.st_gid)


def _keep_extended(old: Path, new: Path, *, access: bool) -> None:
    """Copy what may be copied; file systems without such attributes have none to lose."""
    if sys.platform != "linux":
        return
    with suppress(OSError):  # the new file may have inherited a list of its folder's
        os.removexattr(new, _ACCESS_LIST)
    with suppress(OSError):
        for name in os.listxattr(old):
            if name != _ACCESS_LIST or access:
                with suppress(OSError):
                    os.setxattr(new, name, os.getxattr(old, name))

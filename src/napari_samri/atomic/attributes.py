"""Owner, permissions and extended attributes of a file that is replaced."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

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

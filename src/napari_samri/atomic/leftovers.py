"""Temporary files beside a target: to which target they belong, and which of them are left over.

The name of a temporary file (or folder) says its target, and the process that writes it holds a
lock on it. The system releases the lock when the process ends, in any way. So what can be locked
is left over, if it was made on this machine: many network folders do not share locks between
machines. A file of another machine, or where there are no such locks (Windows), is left over when
it has not changed for a day.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STALE_SECONDS = 24 * 3600.0
# Names may have 255 bytes, and a character takes four at most.
_SHOWN_CHARACTERS = 40
# Writers choose their format by it: of names such as a.nii.gz, the last two.
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,12}){0,2}$")
_OURS = re.compile(
    r"\..*\.[0-9a-f]{8}\.[0-9a-f]{12}-[0-9a-f]{6}\.part(\.[A-Za-z0-9]{1,12}){0,2}", re.DOTALL
)
_TRIES = 100
_GONE = -1  # no descriptor


@contextmanager
def own_file(target: Path, mode: int) -> Iterator[Path]:
    """Give a new, empty file beside a target, which counts as in use until the block ends.

    It is deleted then, if it is still there.

    Raises
    ------
    OSError
        If it cannot be made.
    """

    def make(path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    with _own(target, make) as path:
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def own_folder(target: Path) -> Iterator[Path]:
    """Give a new, empty folder beside a target, for what becomes the target when it is whole.

    It is deleted at the end; folders that killed processes left are deleted at the beginning. It
    must not be moved: make the target inside it, and rename that.

    Raises
    ------
    OSError
        If it cannot be made.
    """

    def make(path: Path) -> int | None:
        path.mkdir()
        if sys.platform == "win32":
            return None
        try:
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # it has no lock yet: another process took it for left over
            return _GONE

    remove_leftovers(target)
    with _own(target, make) as path:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Delete the temporary files of a target that no process writes any more."""
    _remove(target.parent, _prefix(target))


def remove_all_leftovers(folder: Path) -> None:
    """Delete the temporary files of any target in a folder that no process writes any more."""
    _remove(folder, ".")


def _remove(folder: Path, prefix: str) -> None:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and _OURS.fullmatch(entry.name):
                _remove_unless_used(Path(entry.path))


def _prefix(target: Path) -> str:
    """Return how the temporary files of a target begin, and those of no other one."""
    return f".{target.name[:_SHOWN_CHARACTERS]}.{_digest(os.fsencode(target.name))[:8]}."


def _machine() -> str:
    return _digest(platform.node().encode("utf-8", "surrogateescape"))[:6]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _own(target: Path, make: Callable[[Path], int | None]) -> Iterator[Path]:
    """Make something under a new name, and hold its lock, if there is one, until the end."""
    suffix = _SUFFIX.search(target.name)
    for _ in range(_TRIES):
        name = f"{_prefix(target)}{uuid4().hex[:12]}-{_machine()}.part"
        path = target.with_name(name + (suffix[0] if suffix else ""))
        descriptor = make(path)
        if descriptor == _GONE:
            continue
        if descriptor is not None and sys.platform == "win32":
            os.close(descriptor)  # an open file cannot take another one's place there
            descriptor = None
        if descriptor is None or _is_taken(path, descriptor):
            break
        os.close(descriptor)
    else:
        message = f"no temporary file could be kept in {_TRIES} tries"
        raise OSError(message)
    try:
        yield path
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _is_taken(path: Path, descriptor: int) -> bool:
    """Lock what was just made, unless another process has taken it for left over meanwhile."""
    if _lock(descriptor) is False:
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_unless_used(path: Path) -> None:
    if sys.platform == "win32":  # where an open file can be neither locked nor deleted
        with suppress(OSError):
            if _is_old(path.stat()):
                path.unlink()
        return
    try:
        # A pipe or a link of this name is none of ours, and must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or not ours to delete
        return
    try:
        state = os.fstat(descriptor)
        if not _is_left(path, state, descriptor):
            return
        if stat.S_ISDIR(state.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif stat.S_ISREG(state.st_mode):
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _is_left(path: Path, state: os.stat_result, descriptor: int) -> bool:
    locked = _lock(descriptor)
    if locked is None or f"-{_machine()}.part" not in path.name:
        return locked is not False and _is_old(state)
    return locked


def _is_old(state: os.stat_result) -> bool:
    return time.time() - state.st_mtime > _STALE_SECONDS


def _lock(descriptor: int) -> bool | None:
    """Lock a file without waiting; False if another has it, None if there are no locks here."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True

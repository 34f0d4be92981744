"""Autosave: every step of a session appended to a file, so that a crash loses nothing.

A journal begins with the labels that were there; each step then adds the voxels that it
changed. It is locked while its session lives: one that is not locked belongs to a session that
ended without saving, and is offered again. Journals name neither the image nor the patient.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
from filelock import FileLock, Timeout

from napari_samri.codec import Flaw
from napari_samri.errors import InputError, InputWarning, SamriError, StoreError
from napari_samri.jobs import STATE_VARIABLE, Message, encode_message, state_dir
from napari_samri.session.labels import paint_edit
from napari_samri.session.record import FRAMES, Beginning, Page, Saved, Stepped
from napari_samri.session.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.session.history import Commit, Document
    from napari_samri.session.labels import Edit

    Array = NDArray[Any]

SUFFIX = ".journal"
# What keeps a step from being written: a disk, a lock, memory, or a value that has no JSON. What
# comes after it cannot be written either, since each step goes on from the one before.
_UNWRITABLE = (OSError, Timeout, MemoryError, RuntimeError, TypeError, ValueError, zlib.error)

_identities: WeakKeyDictionary[Volume, str] = WeakKeyDictionary()


def journals_dir() -> Path:
    """Return the folder of journals; ``NAPARI_SAMRI_STATE`` overrides the user's."""
    return state_dir() if os.environ.get(STATE_VARIABLE) else state_dir() / "sessions"


def image_identity(volume: Volume) -> str:
    """Return a hash that finds an image's journals again: of its path and grid, or its voxels."""
    known = _identities.get(volume)
    if known is None:  # voxels take 0.1 s
        known = _identities[volume] = _identify(volume)
    return known


def _identify(volume: Volume) -> str:
    grid = volume.grid
    digest = hashlib.sha256(repr((tuple(volume.array.shape), grid.shape)).encode())
    digest.update(np.ascontiguousarray(grid.affine, np.float64).tobytes())
    if grid.path is not None:
        digest.update(os.fsencode(grid.path.absolute()))
    else:
        digest.update(np.ascontiguousarray(volume.array).data)
    return digest.hexdigest()[:32]


class Journal:
    """Writes one session's steps, on a thread of its own.

    Parameters
    ----------
    volume : Volume
    labels : integer array
        The session's label array, as it is now.
    on_failure : callable
        Called with a StoreError, on that thread, the first time that writing fails.
    """

    def __init__(
        self, volume: Volume, labels: Array, on_failure: Callable[[StoreError], None]
    ) -> None:
        self._on_failure = on_failure
        self._known: tuple[Commit, ...] = ()
        self._queue: SimpleQueue[Stepped | Saved | Flag | None] = SimpleQueue()
        self._identity = image_identity(volume)
        self._labels = labels.copy() if labels.any() else None
        self._layout = (labels.shape, labels.dtype)
        self.path = journals_dir() / f"{self._identity}-{uuid4().hex[:12]}{SUFFIX}"
        # Taken on the writing thread, given back on another.
        self._lock = FileLock(f"{self.path}.lock", thread_local=False)
        self._thread = Thread(target=self._write_all, name="samri-journal", daemon=True)
        self._started = False

    def write(self, document: Document, edit: Edit | None) -> None:
        """Append a step: the document as it now is, and the voxels that changed."""
        kept = _common(self._known, document.commits)
        self._known = document.commits
        self._put(
            Stepped(
                document=Page.of(document),
                kept=kept,
                added=document.commits[kept:],
                where=None if edit is None else edit.where,
                after=None if edit is None else edit.after,
            )
        )

    def mark_saved(self) -> None:
        """Record that all steps so far are in a file that the user saved."""
        if self._started:
            self._put(Saved())

    def flush(self) -> None:
        """Wait until all steps are on disk."""
        if self._started:
            done = Flag()
            self._queue.put(done)
            done.wait()

    def close(self, *, keep: bool) -> None:
        """End the journal; one that is not kept is deleted."""
        if not self._started:
            return
        self._queue.put(None)
        self._thread.join()
        self._started = False
        if not keep:
            _delete(self.path)
        self._lock.release()
        _delete(Path(self._lock.lock_file))

    def _put(self, frame: Stepped | Saved) -> None:
        if not self._started:
            # Only now: a session in which nothing was done leaves no file.
            self._started = True
            self._thread.start()
        self._queue.put(frame)

    def _write_all(self) -> None:
        ended = False
        try:
            self._append_until_closed()
            ended = True
        except _UNWRITABLE as error:
            text = (
                f"{self.path.parent}: the session cannot be kept safe from a crash "
                f"({str(error) or type(error).__name__}). Work goes on; save often, or make room "
                "and open the widget again."
            )
            self._on_failure(StoreError(text))
        finally:
            # Also after a fault of ours, which surfaces: else `flush` would wait for ever.
            if not ended:
                self._drain()

    def _append_until_closed(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(timeout=0)
        with self.path.open("xb") as file:
            file.write(_encoded(self._beginning()))
            while (item := self._queue.get()) is not None:
                if isinstance(item, Flag):
                    try:
                        os.fsync(file.fileno())
                    finally:
                        item.set()
                    continue
                file.write(_encoded(item))
                # Enough for a crash of the process; fsync waits until nothing is left to write.
                file.flush()
                if self._queue.empty():
                    os.fsync(file.fileno())

    def _drain(self) -> None:
        """Drop what still comes, so that no `flush` waits for it."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, Flag):
                item.set()

    def _beginning(self) -> Beginning:
        shape, dtype = self._layout
        base = None
        if self._labels is not None:
            packed = zlib.compress(np.ascontiguousarray(self._labels).tobytes(), level=1)
            base = np.frombuffer(packed, np.uint8)
            self._labels = None
        return Beginning(
            identity=self._identity, shape=shape, dtype=dtype, base=base, time=time.time()
        )


@dataclass(frozen=True, eq=False)
class Recovered:
    """What a session left behind that was not saved.

    Parameters
    ----------
    path : pathlib.Path
        The journal.
    time : float
        When it was written last, in seconds since 1970.
    labels : integer array
    document : Document
    """

    path: Path
    time: float
    labels: Array
    document: Document

    def edit(self, labels: Array) -> Edit:
        """Return the edit that turns a session's labels into the recovered ones.

        Raises
        ------
        InputError
            If their dtype does not hold the recovered ones.
        """
        where = np.nonzero(labels != self.labels)
        after = self.labels[where]
        highest = np.iinfo(labels.dtype).max
        if len(after) and after.max() > highest:
            message = (
                f"the unsaved work has labels up to {after.max()}, but the labels are "
                f"{labels.dtype}, which ends at {highest}; start with a new labels layer."
            )
            raise InputError(message)
        return paint_edit(labels, where, after)

    def discard(self) -> None:
        """Delete the journal."""
        discard_journal(self.path)


def discard_journal(path: Path) -> None:
    """Delete a journal whose session is over."""
    _delete(path)
    _delete(Path(f"{path}.lock"))


def sweep_journals(volume: Volume, besides: Collection[Path] = ()) -> Recovered | None:
    """Return the newest unsaved work on an image whose session is over, or None.

    Journals found on the way in which all work was saved are deleted. An InputWarning names
    those that cannot be read, or not to their end.

    Parameters
    ----------
    volume : Volume
    besides : collection of paths
        Journals of work that is not lost, since its labels are still open.
    """
    found = sorted(
        journals_dir().glob(f"{image_identity(volume)}-*{SUFFIX}"),
        key=_modified,
    )
    for path in reversed([path for path in found if path not in besides]):
        recovered = _recover(path, volume)
        if recovered is not None:
            return recovered
    return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted in the meantime
        return 0.0


def _delete(path: Path) -> None:
    """Delete a file if it is there; one that cannot be deleted is left."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _recover(path: Path, volume: Volume) -> Recovered | None:
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return None  # its session lives
    try:
        found = replay(path, volume)
        if found.problem:
            _tell(path, found.problem)
        elif found.labels is None:
            _delete(path)  # nothing is left to be saved
        if found.labels is None:
            return None
        return Recovered(path, _modified(path), found.labels, found.document)
    except (SamriError, Flaw, OSError) as error:
        _tell(path, f"cannot be read ({error})")
        return None
    finally:
        lock.release()
        # No session takes it again: each has a journal, and thus a lock, of its own.
        _delete(Path(lock.lock_file))


def _tell(path: Path, problem: str) -> None:
    message = (
        f"{path}: unsaved work of an earlier session {problem}. Delete the file if it is of no "
        "use to you."
    )
    warnings.warn(message, InputWarning, stacklevel=2)


def _encoded(frame: Beginning | Stepped | Saved) -> bytes:
    return encode_message(Message(*FRAMES.pack(frame)))


def _common(first: tuple[Commit, ...], second: tuple[Commit, ...]) -> int:
    """Return how many commits two histories share from the beginning."""
    # Identity is enough: undo and redo hand the same records on.
    count = 0
    for one, other in zip(first, second, strict=False):
        if one is not other:
            break
        count += 1
    return count

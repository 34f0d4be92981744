"""Autosave: every step of a session appended to a file, so that a crash loses nothing.

A journal begins with the labels that were there; each step then adds the voxels that it
changed. It is locked while its session lives: one that is not locked belongs to a session that
ended without saving, and is offered again. Journals name neither the image nor the patient.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Annotated, Any, Literal, Self
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_samri.codec import Form, Tagged, convert, integer, text, to_plain
from napari_samri.errors import StoreError
from napari_samri.geometry import Plane, Volume
from napari_samri.jobs import STATE_VARIABLE, Message, encode_message, state_dir
from napari_samri.prompts import MaskRegion
from napari_samri.session.history import Commit, Document, Drawing, Reopened
from napari_samri.session.labels import Edit, LabelId, LabelTable

Array = NDArray[Any]

SUFFIX = ".journal"
# What keeps a step from being written: a disk, a lock, memory, or a value that has no JSON. What
# comes after it cannot be written either, since each step builds on the one before.
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


def discard_journal(path: Path) -> None:
    """Delete a journal whose session is over."""
    delete_file(path)
    delete_file(Path(f"{path}.lock"))


def delete_file(path: Path) -> None:
    """Delete a file if it is there; one that cannot be deleted is left."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


# What it holds, one frame after another


@dataclass(frozen=True)
class _Drawn:
    plane: Plane
    prompts: Drawing


@dataclass(frozen=True)
class _ReopenedOn:
    plane: Plane
    label: LabelId
    mask: MaskRegion


@dataclass(frozen=True)
class Page:
    """A document but for its commits."""

    drawn: tuple[_Drawn, ...]
    reopened: tuple[_ReopenedOn, ...]
    table: LabelTable

    @classmethod
    def of(cls, document: Document) -> Self:
        """Return a document's page."""
        drawn = tuple(_Drawn(*each) for each in document.drawn.items())
        reopened = tuple(
            _ReopenedOn(plane, entry.label, entry.mask)
            for plane, entry in document.reopened.items()
        )
        return cls(drawn, reopened, document.table)

    def document(self, commits: tuple[Commit, ...] = ()) -> Document:
        """Return the document of this page and these commits."""
        drawn = {each.plane: each.prompts for each in self.drawn}
        reopened = {each.plane: Reopened(each.label, each.mask) for each in self.reopened}
        return Document(drawn, reopened, self.table, commits)


def _dtype(name: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(name)
    except TypeError as error:
        raise ValueError(*error.args) from error
    if dtype.kind not in "iu":
        message = "expected integers"
        raise ValueError(message)
    return dtype


def _unread(value: object) -> object:
    return value


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """What a journal begins with: the labels that were there.

    Parameters
    ----------
    version : int
        Of the journal.
    identity : str
        Of the image.
    shape, dtype
        Of the label array.
    base : uint8 array or None
        The labels, compressed by zlib; None if there were none.
    time : float
        In seconds since 1970.
    """

    version: Literal[1] = 1
    identity: str = ""
    shape: tuple[Annotated[int, integer(0)], ...]
    dtype: Annotated[np.dtype[Any], Form(convert(text(8), _dtype), lambda dtype: dtype.str)]
    base: NDArray[np.uint8] | None = None
    time: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Stepped:
    """A step of a session.

    Parameters
    ----------
    document : Page
        As it is after the step. It is written, but not read, as a `Page`: of all steps, only the
        last one's is needed.
    kept : int
        How many of the commits are still there.
    added : tuple of Commit
        Which came after these.
    where, after : integer array (N,), or None
        Flat indices of the voxels that changed, and their labels.
    """

    document: Annotated[Any, Form(_unread, to_plain)]
    kept: Annotated[int, integer(0)]
    added: tuple[Commit, ...]
    where: NDArray[Any] | None = None
    after: NDArray[Any] | None = None


@dataclass(frozen=True)
class Saved:
    """All steps so far are in a file that the user saved."""


FRAMES: Tagged[Beginning | Stepped | Saved] = Tagged(
    {"session": Beginning, "step": Stepped, "saved": Saved}, unknown="drop"
)


# Writing


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
            delete_file(self.path)
        self._lock.release()
        delete_file(Path(self._lock.lock_file))

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
                f"({str(error) or type(error).__name__}). You can work on; save often, or make "
                "room and open the widget again."
            )
            self._on_failure(StoreError(text))
        finally:
            # Also after a fault of ours, which surfaces: else `flush` would wait forever.
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

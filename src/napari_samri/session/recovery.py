"""Unsaved work of sessions that are over: journals are read again, every step checked first.

Arrays are made of the image's shape, never of one that the file names, so that a journal takes
no more memory than the labels it belongs to.
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from napari_samri.codec import Flaw, from_plain
from napari_samri.errors import InputError, InputWarning, SamriError, StoreError
from napari_samri.jobs import is_torn, read_message
from napari_samri.session.history import Commit, Document
from napari_samri.session.journal import (
    FRAMES,
    SUFFIX,
    Beginning,
    Page,
    Saved,
    Stepped,
    delete_file,
    discard_journal,
    image_identity,
    journals_dir,
)
from napari_samri.session.labels import paint_edit, table_in

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import BinaryIO

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.jobs import Message
    from napari_samri.session.labels import Edit

    Array = NDArray[Any]


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
            delete_file(path)  # nothing is left to be saved
        if found.labels is None:
            return None
        return Recovered(path, _modified(path), found.labels, found.document)
    except (SamriError, Flaw, OSError) as error:
        _tell(path, f"cannot be read ({error})")
        return None
    finally:
        lock.release()
        # No session takes it again: each has a journal, and thus a lock, of its own.
        delete_file(Path(lock.lock_file))


def _tell(path: Path, problem: str) -> None:
    message = (
        f"{path}: unsaved work of an earlier session {problem}. Delete the file if it is of no "
        "use to you."
    )
    warnings.warn(message, InputWarning, stacklevel=2)


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a journal holds.

    Parameters
    ----------
    labels : integer array or None
        None if all of it was saved, or nothing was done.
    document : Document
    problem : str
        What is wrong with the journal, if not all of it could be read: a predicate.
    """

    labels: Array | None = None
    document: Document = field(default_factory=Document)
    problem: str = ""


@dataclass
class _Work:
    """The steps of a journal, done again one by one."""

    labels: Array
    commits: list[Commit] = field(default_factory=list)
    document: object = None
    steps: int = 0
    saved: bool = True

    def take(self, message: Message) -> None:
        """Do a step.

        Raises
        ------
        Flaw
            If it is none; then nothing was changed.
        """
        frame = FRAMES.unpack(message.head, message.arrays)
        if isinstance(frame, Saved):
            self.saved = True
            return
        if isinstance(frame, Beginning) or frame.kept > len(self.commits):
            text = f"is no step after one with {len(self.commits)} commits"
            raise Flaw(text)
        where, after = _edit(frame, self.labels)
        self.commits[frame.kept :] = frame.added
        self.labels.reshape(-1)[where] = after
        self.document = frame.document
        self.steps += 1
        self.saved = False


def replay(path: Path, volume: Volume) -> Replayed:
    """Do a journal's steps again, up to its end, to a step that a crash tore, or to a damaged one.

    Raises
    ------
    InputError, StoreError, Flaw
        If the labels that it begins with cannot be read.
    OSError
        If the file cannot be.
    """
    with path.open("rb") as file:
        first = _first(file)
        if first is None:
            return Replayed()
        work = _Work(_base(first, tuple(volume.array.shape)))
        problem = _follow(work, file)
    if work.document is None or work.saved:
        return Replayed(problem=problem)
    try:
        page = from_plain(Page, work.document, "drop")
        document = _fitting(page.document(tuple(work.commits)), volume)
    except (Flaw, InputError) as error:
        problem = problem or f"is offered without its prompts and names ({error})"
        document = Document(table=table_in(work.labels), commits=tuple(work.commits))
    return Replayed(work.labels, document, problem)


def _first(file: BinaryIO) -> Message | None:
    """Return the frame that a journal begins with; None if a crash came before its end."""
    try:
        return read_message(file)
    except StoreError:
        file.seek(0)
        if is_torn(file.read()):
            return None
        raise


def _follow(work: _Work, file: BinaryIO) -> str:
    """Do all steps that can be read; return what is wrong with the rest, if anything."""
    while True:
        begin = file.tell()
        try:
            message = read_message(file)
            if message is None:
                return ""
            work.take(message)
        except (SamriError, Flaw) as error:
            file.seek(begin)
            left = file.read()
            if is_torn(left):
                return ""
            return (
                f"is damaged after {work.steps} steps: its last {len(left):,} bytes cannot be "
                f"read ({error})"
            )


def _base(first: Message, expected: tuple[int, ...]) -> Array:
    """Return the labels that a journal begins with."""
    begun = FRAMES.unpack(first.head, first.arrays)
    if not isinstance(begun, Beginning) or begun.shape != expected:
        shape = getattr(begun, "shape", None)
        message = f"its labels have the shape {shape}; expected the image's, {expected}"
        raise InputError(message)
    labels = np.zeros(begun.shape, begun.dtype)
    if begun.base is None:
        return labels
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(begun.base.tobytes(), labels.nbytes + 1)
    except zlib.error as error:
        message = f"its labels cannot be unpacked: {error}"
        raise InputError(message) from error
    if len(content) != labels.nbytes or not unpacker.eof:
        message = f"its labels are not {labels.nbytes:,} bytes, as their shape says"
        raise InputError(message)
    labels.reshape(-1)[:] = np.frombuffer(content, begun.dtype)
    return labels


def _edit(step: Stepped, labels: Array) -> tuple[Array, Array]:
    """Return where a step changes labels, as flat indices, and what they become."""
    where = np.zeros(0, np.int64) if step.where is None else step.where
    after = np.zeros(0, labels.dtype) if step.after is None else step.after
    pairs = where.ndim == 1 and where.shape == after.shape
    if not pairs or where.dtype.kind not in "iu" or after.dtype.kind not in "iu":
        message = "changes voxels, but not as many as it has labels for"
        raise Flaw(message)
    if len(where) and not (where.min() >= 0 and where.max() < labels.size):
        message = "changes voxels outside the image"
        raise Flaw(message)
    limits = np.iinfo(labels.dtype)
    if len(after) and not (after.min() >= limits.min and after.max() <= limits.max):
        message = f"has labels that {labels.dtype} does not hold"
        raise Flaw(message)
    return where, after


def _fitting(document: Document, volume: Volume) -> Document:
    """Return a document whose planes and masks lie in a volume.

    Raises
    ------
    InputError
        If they do not.
    """
    for plane in (*document.drawn, *document.reopened):
        plane.check(volume)
    for plane, entry in document.reopened.items():
        if entry.mask.shape != plane.shape(volume):
            message = f"a mask has the shape {entry.mask.shape}; expected {plane.shape(volume)}"
            raise InputError(message)
    return document

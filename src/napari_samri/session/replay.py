"""Journals read again: every step is checked before it changes anything.

Arrays are made of the image's shape, never of one that the file names, so that a journal takes
no more memory than the labels it belongs to.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.codec import Flaw, convert, integer, list_of, one_of, record, text
from napari_samri.errors import InputError, SamriError, StoreError
from napari_samri.jobs import is_torn, read_message
from napari_samri.session.document import Commit, Document
from napari_samri.session.labels import table_in
from napari_samri.session.record import COMMIT, DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.jobs import Message

    Array = NDArray[Any]

VERSION = 1


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
        if message.head.get("kind") == "saved":
            self.saved = True
            return
        kept, added, document = _STEP(dict(message.head))
        if kept > len(self.commits):
            text_ = f"keeps {kept} commits of {len(self.commits)}"
            raise Flaw(text_)
        where, after = _edit(message.arrays, self.labels)
        self.commits[kept:] = added
        self.labels.reshape(-1)[where] = after
        self.document = document
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
        document = _fitting(DOCUMENT(work.document), volume)
    except (Flaw, InputError) as error:
        problem = problem or f"is offered without its prompts and names ({error})"
        document = Document(table=table_in(work.labels))
    return Replayed(work.labels, replace(document, commits=tuple(work.commits)), problem)


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


def _dtype(name: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(name)
    except TypeError as error:
        raise ValueError(*error.args) from error
    if dtype.kind not in "iu":
        message = "expected integers"
        raise ValueError(message)
    return dtype


_STEP = record(
    lambda kind, kept, added, document: (kept, added, document),
    {
        "kind": one_of("step"),
        "kept": integer(0),
        "added": list_of(COMMIT),
        # Only the last one is needed.
        "document": lambda value: value,
    },
)
_BEGINNING = record(
    lambda kind, shape, dtype: (shape, dtype),
    {
        "kind": one_of("session"),
        "shape": list_of(integer(0), at_most=8),
        "dtype": convert(text(8), _dtype),
    },
    marks={"version": VERSION},
)


def _base(first: Message, expected: tuple[int, ...]) -> Array:
    """Return the labels that a journal begins with."""
    shape, dtype = _BEGINNING(dict(first.head))
    if shape != expected:
        message = f"its labels have the shape {shape}; expected the image's, {expected}"
        raise InputError(message)
    labels = np.zeros(shape, dtype)
    if "base" not in first.arrays:
        return labels
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(first.arrays["base"].tobytes(), labels.nbytes + 1)
    except zlib.error as error:
        message = f"its labels cannot be unpacked: {error}"
        raise InputError(message) from error
    if len(content) != labels.nbytes or not unpacker.eof:
        message = f"its labels are not {labels.nbytes:,} bytes, as their shape says"
        raise InputError(message)
    labels.reshape(-1)[:] = np.frombuffer(content, dtype)
    return labels


def _edit(arrays: Mapping[str, Array], labels: Array) -> tuple[Array, Array]:
    """Return where a step changes labels, as flat indices, and what they become."""
    where = arrays.get("where", np.zeros(0, np.int64))
    after = arrays.get("after", np.zeros(0, labels.dtype))
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

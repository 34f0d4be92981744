"""A session as messages: what a journal holds, one frame after another."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from napari_samri.codec import Form, Tagged, convert, integer, text, to_plain
from napari_samri.geometry import Plane
from napari_samri.prompts import MaskRegion
from napari_samri.session.history import Commit, Document, Drawing, Reopened
from napari_samri.session.labels import LabelId, LabelTable


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
    """All up to here is in a file of the user's."""


FRAMES: Tagged[Beginning | Stepped | Saved] = Tagged(
    {"session": Beginning, "step": Stepped, "saved": Saved}, unknown="drop"
)

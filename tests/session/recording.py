"""What a journal of a session would hold, without its thread and its file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.codec import from_plain
from napari_samri.jobs.wire import Message, encode_message, read_message
from napari_samri.session.journal import FRAMES, Journal, Page, Stepped

if TYPE_CHECKING:
    from napari_samri.session.history import Document
    from napari_samri.session.session import Session


class Recording:
    """Listens to a session as its journal does."""

    def __init__(self, session: Session) -> None:
        self.journal = Journal(session.volume, session.labels, print)
        self.frames: list[Any] = []
        self.journal._put = self.frames.append  # type: ignore[method-assign]
        session.stepped.connect(self.journal.write)
        self.labels = session.labels.copy()
        self.commits: list[Any] = []
        self.document: Document | None = None

    def replayed(self) -> tuple[np.ndarray, Document | None]:
        """Return the labels and the document to which all frames up to now lead."""
        for frame in self.frames:
            written = encode_message(Message(*FRAMES.pack(frame)))
            message = read_message(io.BytesIO(written))
            assert message is not None
            step = FRAMES.unpack(message.head, message.arrays)
            assert isinstance(step, Stepped)
            self.commits[step.kept :] = step.added
            if step.where is not None:
                where = np.unravel_index(step.where, self.labels.shape)
                self.labels[where] = step.after
            self.document = from_plain(Page, step.document).document(tuple(self.commits))
        self.frames.clear()
        return self.labels, self.document

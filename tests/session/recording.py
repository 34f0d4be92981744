"""What a journal of a session would hold, without its thread and its file."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.session.journal import Journal

if TYPE_CHECKING:
    from napari_samri.jobs.wire import Message
    from napari_samri.session.document import Document
    from napari_samri.session.session import Session


class Recording:
    """Listens to a session as its journal does."""

    def __init__(self, session: Session) -> None:
        self.journal = Journal(session.volume, session.labels, print)
        self.messages: list[Message] = []
        self.journal._put = self.messages.append  # type: ignore[method-assign]
        session.stepped.connect(self.journal.write)
        self.labels = session.labels.copy()
        self.commits: list[Any] = []
        self.document: Document | None = None

    def replayed(self) -> tuple[np.ndarray, Document | None]:
        """Return the labels and the document to which all messages up to now lead."""
        from napari_samri.jobs.wire import encode_message, read_message
        from napari_samri.session.record import COMMIT, DOCUMENT

        for written in self.messages:
            message = read_message(io.BytesIO(encode_message(written)))
            assert message is not None
            self.commits[message.head["kept"] :] = map(COMMIT, message.head["added"])
            if "where" in message.arrays:
                where = np.unravel_index(message.arrays["where"], self.labels.shape)
                self.labels[where] = message.arrays["after"]
            self.document = replace(DOCUMENT(message.head["document"]), commits=tuple(self.commits))
        self.messages.clear()
        return self.labels, self.document

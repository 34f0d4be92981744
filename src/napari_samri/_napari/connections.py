"""Connections that can all be undone: what connects can disconnect."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from psygnal import SignalInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Connections:
    """Callbacks connected to events of napari or signals of psygnal, to be disconnected at once."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., Any]]] = []
        self._muted = 0

    def add(self, emitter: Any, callback: Callable[..., Any]) -> None:
        """Connect a callback that is silent inside `muted`."""

        def guarded(*arguments: Any) -> None:
            if not self._muted:
                callback(*arguments)

        if isinstance(emitter, SignalInstance):
            emitter.connect(guarded)
        else:
            # After napari's own: a layer that is removed in the middle of another one's removal
            # leaves its picture behind, and drawing that ends the process.
            emitter.connect(guarded, position="last")
        self._made.append((emitter, guarded))

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Do something without hearing of it."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    def close(self) -> None:
        """Disconnect all."""
        for emitter, callback in self._made:
            with suppress(ValueError, TypeError, RuntimeError):  # its owner is gone already
                emitter.disconnect(callback)
        self._made.clear()

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._made)

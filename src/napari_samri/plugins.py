"""Registries: what comes with the package, what is registered, what other packages bring."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Registry(Generic[T]):
    """All things of one kind: registered ones, the latest first, then other packages', then ours.

    A package brings things by an entry point: to a thing, to several, or to a class or a function
    without arguments that returns one or several. What cannot be loaded, or is of another kind,
    is logged and left out: a fault of another package must not stop this one.

    Parameters
    ----------
    group : str
        Of the entry points, which are loaded once, when the registry is first read.
    kind : type
        What each thing has to be an instance of; of protocols, one that can be checked at run time.
    own : callable
        Returns what comes with the package, when it is first needed.
    """

    def __init__(self, group: str, kind: type, own: Callable[[], Iterable[T]] = tuple) -> None:
        self._group = group
        self._kind = kind
        self._own = own
        self._registered: list[T] = []
        self._found: tuple[T, ...] | None = None

    def register(self, thing: T) -> None:
        """Add a thing; it comes before those that were there."""
        self._registered.insert(0, thing)

    def unregister(self, thing: T) -> None:
        """Take a registered thing out again; nothing happens if it is not there."""
        if thing in self._registered:
            self._registered.remove(thing)

    def __iter__(self) -> Iterator[T]:
        if self._found is None:
            brought = [
                thing for entry in entry_points(group=self._group) for thing in self._load(entry)
            ]
            self._found = (*brought, *self._own())
        yield from (*self._registered, *self._found)

    def _load(self, entry: EntryPoint) -> list[T]:
        try:
            things = self._things(entry.load())
        except Exception:  # another package's fault must not take ours down
            logger.warning(
                "entry point %s of %s cannot be loaded", entry.name, self._group, exc_info=True
            )
            return []
        odd = [thing for thing in things if not isinstance(thing, self._kind)]
        if odd:
            logger.warning(
                "entry point %s of %s gave %r; expected %s only",
                entry.name,
                self._group,
                odd[0],
                self._kind.__name__,
            )
        return [thing for thing in things if thing not in odd]

    def _things(self, loaded: Any) -> list[Any]:
        """Return the things that an entry point stands for."""
        # A class has the attributes of its instances, and may look like one.
        if isinstance(loaded, type) or (callable(loaded) and not isinstance(loaded, self._kind)):
            loaded = loaded()
        return [loaded] if isinstance(loaded, self._kind) else list(loaded)

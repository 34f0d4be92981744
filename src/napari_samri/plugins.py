"""Registries: what comes with the package, what is registered, what other packages bring."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from napari_samri.errors import InputError

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
        self._found: tuple[list[T], list[T]] | None = None

    def register(self, thing: T) -> None:
        """Add a thing; it comes before those that were there."""
        self._registered.insert(0, thing)

    def unregister(self, thing: T) -> None:
        """Take a registered thing out again; nothing happens if it is not there."""
        if thing in self._registered:
            self._registered.remove(thing)

    def __iter__(self) -> Iterator[T]:
        brought, own = self._others()
        yield from (*self._registered, *brought, *own)

    def _others(self) -> tuple[list[T], list[T]]:
        """Return what other packages bring, and our own."""
        if self._found is None:
            brought = [
                thing for entry in entry_points(group=self._group) for thing in self._load(entry)
            ]
            self._found = brought, list(self._own())
        return self._found

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


class Named(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str:
        """What it is known by."""


N = TypeVar("N", bound=Named)


class NamedRegistry(Registry[N]):
    """Things with ids, of which each belongs to one thing: ours, registered, or brought, in turn.

    Parameters
    ----------
    group, kind, own
        See `Registry`.
    noun : str
        What people call such a thing.
    error : type
        Of what is raised where one is not known, or known already.
    """

    def __init__(
        self,
        group: str,
        kind: type,
        own: Callable[[], Iterable[N]],
        *,
        noun: str,
        error: type[Exception] = InputError,
    ) -> None:
        super().__init__(group, kind, own)
        self._noun = noun
        self._error = error

    def register(self, thing: N) -> None:
        """Add a thing.

        Raises
        ------
        InputError
            If another one has its id.
        """
        if self.known().get(thing.id, thing) != thing:
            message = f"a {self._noun} with the id '{thing.id}' exists already; choose another id."
            raise self._error(message)
        self.unregister(thing)
        super().register(thing)

    def known(self) -> dict[str, N]:
        """Return all things by id."""
        brought, own = self._others()
        found: dict[str, N] = {}
        for thing in (*own, *reversed(self._registered), *brought):
            found.setdefault(thing.id, thing)
        return found

    def find(self, name: str) -> N:
        """Return a thing by id.

        Raises
        ------
        InputError
            If there is none; the message offers the nearest ids.
        """
        known = self.known()
        if name not in known:
            message = (
                f"'{name}' is no known {self._noun}. {did_you_mean(name, known)}"
                f"Expected one of {', '.join(known)}."
            )
            raise self._error(message)
        return known[name]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence that offers the names nearest to a wrong one, or nothing."""
    near = get_close_matches(name, list(names), n=3)
    return f"Did you mean {' or '.join(near)}? " if near else ""

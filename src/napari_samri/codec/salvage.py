"""Many items of which some are damaged: the others are read, the damaged ones are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from napari_samri.errors import SamriError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Unreadable:
    """An item of many that cannot be used, where the others can.

    Parameters
    ----------
    name : str
        Of the file, line or entry.
    reason : str
        What is wrong with it, and what to do.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Sorted(Generic[T]):
    """What could be read of many items, and what could not.

    Parameters
    ----------
    good : tuple
    bad : tuple of Unreadable
    """

    good: tuple[T, ...]
    bad: tuple[Unreadable, ...]


def read_each(items: Iterable[S], read: Callable[[S], T | None]) -> Sorted[T]:
    """Read every item; a damaged one does not keep the others from being read.

    Parameters
    ----------
    items : iterable
        Named by `str` where they are unreadable; of paths, by their file names.
    read : callable
        Returns what an item holds, None if it is to be passed over, and raises a SamriError if
        it is damaged.
    """
    good: list[T] = []
    bad: list[Unreadable] = []
    for item in items:
        try:
            found = read(item)
        except SamriError as error:
            bad.append(Unreadable(str(getattr(item, "name", item)), str(error)))
        else:
            if found is not None:
                good.append(found)
    return Sorted(tuple(good), tuple(bad))

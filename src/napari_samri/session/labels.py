"""The labels of a session: id, name, colour, lock. Immutable, so that undo can keep them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_samri.codec import convert, flag, integer, list_of, record, text
from napari_samri.errors import InputError
from napari_samri.geometry import numbers, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LABEL = 65535
# Okabe and Ito's colours, which people with any colour vision can tell apart, on dark and light.
PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#9ad0f5",
    "#7cd992",
    "#ff8f80",
)


@dataclass(frozen=True)
class Label:
    """A label of the label array.

    Parameters
    ----------
    id : int
        Its value in the array, from 1.
    name : str
    colour : str
        ``#rrggbb``.
    locked : bool
        A locked label's pixels are never changed.
    """

    id: int
    name: str
    colour: str
    locked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", whole(self.id, "the label"))
        object.__setattr__(self, "locked", numbers.flag(self.locked, "locked"))
        if not isinstance(self.name, str) or not isinstance(self.colour, str):
            message = (
                f"label {self.id} has the name {self.name!r} and the colour {self.colour!r}; "
                "expected texts."
            )
            raise InputError(message)
        object.__setattr__(self, "name", str(self.name))
        if not re.fullmatch("#[0-9a-fA-F]{6}", self.colour):
            message = f"the colour of label {self.id} is {self.colour!r}; expected #rrggbb."
            raise InputError(message)


def fresh_label(number: int, name: str | None = None) -> Label:
    """Return a label with the colour of its id, and a name made of it.

    Raises
    ------
    InputError
        If the id is not 1 to 65535.
    """
    number = whole(number, "the label")
    if not 1 <= number <= MAX_LABEL:
        message = f"label {number} cannot be added; expected a free id from 1 to {MAX_LABEL}."
        raise InputError(message)
    return Label(number, name or f"label {number}", PALETTE[(number - 1) % len(PALETTE)])


@dataclass(frozen=True)
class LabelTable:
    """Labels in the order of their ids, and the one that masks are committed to."""

    labels: tuple[Label, ...]
    active: int

    @classmethod
    def fresh(cls) -> LabelTable:
        """Return a table with one label."""
        return cls.of((1,))

    @classmethod
    def of(cls, ids: Iterable[int]) -> LabelTable:
        """Return a table of labels with these different ids, the lowest of which is active.

        Raises
        ------
        InputError
            If there are none, or they are not different ones from 1 to 65535.
        """
        labels = tuple(fresh_label(number) for number in sorted(ids))
        if not labels or len({entry.id for entry in labels}) < len(labels):
            message = (
                f"the label ids are {[e.id for e in labels]}; expected at least one, no two alike."
            )
            raise InputError(message)
        return cls(labels, labels[0].id)

    def __iter__(self) -> Iterator[Label]:
        """Iterate over the labels."""
        return iter(self.labels)

    def __getitem__(self, label: int) -> Label:
        """Return a label by its id.

        Raises
        ------
        InputError
            If there is none.
        """
        for entry in self.labels:
            if entry.id == label:
                return entry
        known = ", ".join(str(entry.id) for entry in self.labels)
        message = f"there is no label {label}; expected one of {known}, or add it first."
        raise InputError(message)

    def __contains__(self, label: object) -> bool:
        """Tell whether there is a label with this id."""
        return any(entry.id == label for entry in self.labels)

    @property
    def locked(self) -> tuple[int, ...]:
        """Ids of the locked labels."""
        return tuple(entry.id for entry in self.labels if entry.locked)

    def add(
        self, name: str | None = None, label: int | None = None, limit: int = MAX_LABEL
    ) -> LabelTable:
        """Return the table with one more label, which is the active one.

        Without an id, it is the one after the highest, or the lowest free one up to `limit`.

        Raises
        ------
        InputError
            If the id is taken or not 1 to 65535, or all are taken.
        """
        number = whole(label, "the label") if label is not None else self._free(limit)
        if number in self:
            message = f"label {number} cannot be added; expected a free id from 1 to {MAX_LABEL}."
            raise InputError(message)
        entry = fresh_label(number, name)
        return LabelTable(tuple(sorted((*self.labels, entry), key=lambda e: e.id)), number)

    def including(self, ids: Iterable[int]) -> LabelTable:
        """Return the table with these ids too; the active label stays."""
        known = {entry.id for entry in self.labels}
        new = (fresh_label(number) for number in set(ids) - known)
        return replace(self, labels=tuple(sorted((*self.labels, *new), key=lambda e: e.id)))

    def _free(self, limit: int) -> int:
        taken = {entry.id for entry in self.labels}
        following = max(taken, default=0) + 1
        if following <= limit:
            return following
        free = (number for number in range(1, limit + 1) if number not in taken)
        return next(free, following)

    def change(self, label: int, **changes: Any) -> LabelTable:
        """Return the table with other properties of a label (name, colour, locked)."""
        changed = replace(self[label], **changes)
        return replace(self, labels=tuple(changed if e.id == label else e for e in self.labels))

    def remove(self, label: int) -> LabelTable:
        """Return the table without a label; the last one cannot go."""
        self[label]
        rest = tuple(entry for entry in self.labels if entry.id != label)
        if not rest:
            message = "the last label cannot be removed; add another one first."
            raise InputError(message)
        return LabelTable(rest, self.active if self.active != label else rest[0].id)

    def activate(self, label: int) -> LabelTable:
        """Return the table with another active label."""
        return replace(self, active=self[label].id)

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON values."""
        entries = [
            {"id": e.id, "name": e.name, "colour": e.colour, "locked": e.locked} for e in self
        ]
        return {"labels": entries, "active": self.active}


def _colour(value: str) -> str:
    if not re.fullmatch("#?[0-9a-fA-F]{6}", value):
        message = "expected #rrggbb"
        raise ValueError(message)
    return "#" + value.removeprefix("#").lower()


def table_of(labels: tuple[Label, ...], active: int) -> LabelTable:
    """Return the table of labels in any order.

    Raises
    ------
    InputError
        If two have the same id, or there is no active one.
    """
    table = LabelTable(tuple(sorted(labels, key=lambda e: e.id)), active)
    if len({entry.id for entry in table}) < len(labels):
        message = f"there are {len(labels)} labels of which some have the same id"
        raise InputError(message)
    table[active]
    return table


_LABEL = record(
    Label,
    {
        "id": integer(1, MAX_LABEL),
        "name": text(),
        "colour": convert(text(), _colour),
        "locked": flag,
    },
)
# The entries that `LabelTable.to_json` writes, and what is made of them.
TABLE_ENTRIES = {"labels": list_of(_LABEL), "active": integer(1, MAX_LABEL)}
TABLE = record(table_of, TABLE_ENTRIES)

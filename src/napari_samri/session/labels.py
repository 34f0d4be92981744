"""The labels of a session: their table, their voxels, and changes of these that can be undone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from napari_samri.codec import convert, integer, text
from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import MAX_LABEL, numbers, whole
from napari_samri.prompts import MaskRegion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_samri.geometry import Plane, Volume

    Array = NDArray[Any]

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


def _colour(value: str) -> str:
    if not re.fullmatch("#?[0-9a-fA-F]{6}", value):
        message = "expected #rrggbb"
        raise ValueError(message)
    return "#" + value.removeprefix("#").lower()


LabelId = Annotated[int, integer(1, MAX_LABEL)]


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

    id: LabelId
    name: str
    colour: Annotated[str, convert(text(), _colour)]
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
    """Labels, kept in the order of their ids, and the one that masks are committed to.

    Raises
    ------
    InputError
        If there are none, two have the same id, or the active one is not among them.
    """

    labels: tuple[Label, ...]
    active: LabelId

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.labels, key=lambda entry: entry.id))
        object.__setattr__(self, "labels", ordered)
        ids = [entry.id for entry in self.labels]
        if not ids or len(set(ids)) < len(ids):
            message = f"the label ids are {ids}; expected at least one, and no two of the same id."
            raise InputError(message)
        self[self.active]

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
        labels = tuple(map(fresh_label, ids))
        return cls(labels, min((entry.id for entry in labels), default=0))

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

    def check_unlocked(self, label: int) -> None:
        """Raise InputError if a label is locked."""
        if label in self.locked:
            message = (
                f"the label '{self[label].name}' is locked; unlock it or choose another label."
            )
            raise InputError(message)

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
        return LabelTable((*self.labels, fresh_label(number, name)), number)

    def including(self, ids: Iterable[int]) -> LabelTable:
        """Return the table with these ids too; the active label stays."""
        new = (fresh_label(number) for number in dict.fromkeys(ids) if number not in self)
        return replace(self, labels=(*self.labels, *new))

    def _free(self, limit: int) -> int:
        taken = {entry.id for entry in self.labels}
        limit, following = min(limit, MAX_LABEL), max(taken, default=0) + 1
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
        """Return the table with another active label.

        Raises
        ------
        InputError
            If there is none with this id.
        """
        return replace(self, active=self[label].id)


# The voxels


def plane_voxels(labels: Array, plane: Plane, rows: Array, columns: Array) -> tuple[Array, ...]:
    """Return indices into the label array of pixels of a plane."""
    voxels = plane.pixels_to_voxels(np.stack([rows, columns], axis=1)).astype(np.intp).T
    if labels.ndim == 2:
        return voxels[1], voxels[2]
    if labels.ndim == 4:
        return (np.full(len(rows), plane.time, np.intp), *voxels)
    return tuple(voxels)


def checked_labels(labels: Array | None, volume: Volume) -> Array:
    """Return labels that lie on a volume, new ones if there are none.

    Raises
    ------
    GeometryError, InputError
        If they are of another shape or dtype, or read-only.
    """
    shape = tuple(volume.array.shape)
    if labels is None:
        return np.zeros(shape, np.uint16)
    if tuple(labels.shape) != shape:
        message = (
            f"the labels' shape is {tuple(labels.shape)}, but the image has {shape}; expected "
            "labels on the image's own grid. Choose or make other labels."
        )
        raise GeometryError(message)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        message = f"the labels are {type(labels).__name__} of {labels.dtype}; expected integers."
        raise InputError(message)
    if not labels.flags.writeable:
        message = "the labels are read-only; give a copy of them."
        raise InputError(message)
    return labels


def table_in(labels: Array) -> LabelTable:
    """Return a table with a label for each value of an array."""
    present = present_labels(labels)
    table = LabelTable.of({1, *present})
    return table.activate(present[0]) if present else table


def present_labels(labels: Array) -> list[int]:
    """Return the labels that an array holds, from 1 to 65535, in their order."""
    if labels.dtype.itemsize <= 2 and labels.dtype.kind == "u":
        values = np.flatnonzero(np.bincount(labels.ravel()))
    else:
        values = np.unique(labels)
    return [int(value) for value in values if 0 < value <= MAX_LABEL]


def object_at(pixels: Array, row: int, column: int) -> tuple[int, MaskRegion]:
    """Return the label and the mask of the object under a pixel of a plane (rows, columns).

    Raises
    ------
    InputError
        If there is none.
    """
    inside = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
    label = int(pixels[row, column]) if inside else 0
    if label == 0:
        message = "there is no object at this place; click on one that was committed."
        raise InputError(message)
    from scipy import ndimage

    parts, _ = ndimage.label(pixels == label, structure=np.ones((3, 3)))
    return label, MaskRegion.from_array(parts == parts[row, column])


def differing_voxels(shown: Array, kept: Array, plane: Plane | None) -> tuple[Array, ...]:
    """Return where two label arrays differ, as `np.nonzero` does.

    Parameters
    ----------
    shown, kept : array
        Of one shape.
    plane : Plane or None
        Look no further than at this plane.
    """
    if plane is None or shown.ndim == 2:
        return np.nonzero(shown != kept)
    block: tuple[slice, ...] = (slice(None),) * plane.axis + (slice(plane.index, plane.index + 1),)
    if shown.ndim == 4:
        block = (slice(plane.time, (plane.time or 0) + 1), *block)
    starts = [part.start or 0 for part in block] + [0] * (shown.ndim - len(block))
    local = np.nonzero(shown[block] != kept[block])
    return tuple(index + start for index, start in zip(local, starts, strict=True))


@dataclass(frozen=True, eq=False)
class Edit:
    """What voxels were and what they became.

    Parameters
    ----------
    where : int64 array (N,)
        Flat indices, in C order, into the label array.
    before, after : array (N,)
        Labels.
    """

    where: NDArray[np.int64]
    before: Array
    after: Array

    def apply(self, labels: Array) -> None:
        """Write the new labels."""
        labels[np.unravel_index(self.where, labels.shape)] = self.after

    def inverse(self) -> Edit:
        """Return the edit that takes this one back."""
        return Edit(self.where, self.after, self.before)


def relabel_edit(labels: Array, old: int, new: int) -> Edit:
    """Return the edit that makes all voxels of one label those of another."""
    where = np.flatnonzero(labels.reshape(-1) == old)
    before = np.full(len(where), old, labels.dtype)
    return Edit(where, before, np.full(len(where), new, labels.dtype))


def paint_edit(
    labels: Array, where: tuple[Array, ...], values: Array | int, locked: Collection[int] = ()
) -> Edit:
    """Return the edit that writes `values` at index arrays `where`, sparing locked labels."""
    before = labels[where]
    after = np.broadcast_to(np.asarray(values, labels.dtype), before.shape)
    free = (before != after) & ~np.isin(before, list(locked)) & ~np.isin(after, list(locked))
    flat = np.ravel_multi_index(where, labels.shape)
    return Edit(flat[free].astype(np.int64), before[free], after[free].copy())

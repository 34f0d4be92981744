"""What undo restores besides voxels: prompts, re-opened objects, the label table, commits."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Annotated, Self

from napari_samri.codec import Form, integer, number, optional
from napari_samri.errors import InputError
from napari_samri.geometry import MAX_LABEL, Plane
from napari_samri.prompts import PROMPTS, MaskRegion, PromptSet
from napari_samri.session.labels import Edit, LabelTable

Drawing = Annotated[PromptSet, PROMPTS]
MAX_STEPS = 1000
EMPTY = PromptSet()


@dataclass(frozen=True)
class Reopened:
    """An object that was committed before and is being refined: its label and its old mask."""

    label: int
    mask: MaskRegion


def _score_or_none(score: float | None) -> float | None:
    return None if score is None or not isfinite(score) else float(score)


@dataclass(frozen=True)
class Commit:
    """How a mask came about: kept for provenance.

    Parameters
    ----------
    plane : Plane
    label, voxels : int
        The label, and how many voxels the commit changed.
    prompts : PromptSet
        In pixels of the plane.
    model, encoder : str
        Id of the model and SHA-256 of its encoder.
    score : float or None
        IoU that the model predicted; None where that number means nothing.
    post : tuple of str
        Names of the post-processing steps.
    time : str
        UTC, ISO 8601.
    """

    plane: Plane
    label: Annotated[int, integer(0, MAX_LABEL)]
    voxels: Annotated[int, integer(0)]
    prompts: Drawing
    model: str
    encoder: str
    score: Annotated[float | None, Form(optional(number()), _score_or_none)]
    post: tuple[str, ...]
    time: str


@dataclass(frozen=True)
class Document:
    """The state of a session that undo and redo step through; its mappings are never changed."""

    drawn: Mapping[Plane, PromptSet] = field(default_factory=dict)
    reopened: Mapping[Plane, Reopened] = field(default_factory=dict)
    table: LabelTable = field(default_factory=LabelTable.fresh)
    commits: tuple[Commit, ...] = ()

    def prompts(self, plane: Plane) -> PromptSet:
        """Return what is drawn on a plane."""
        return self.drawn.get(plane, EMPTY)

    def with_prompts(self, plane: Plane, prompts: PromptSet) -> Self:
        """Return the document with other prompts on a plane."""
        others = {key: value for key, value in self.drawn.items() if key != plane}
        return replace(self, drawn=others if prompts.is_empty else {**others, plane: prompts})

    def with_active(self, label: int) -> Self:
        """Return the document with another active label, added to the table if need be."""
        return replace(self, table=self.table.including((label,)).activate(label))

    def without_label(self, label: int) -> Self:
        """Return the document without a label, and without objects of it that are re-opened."""
        reopened = {key: value for key, value in self.reopened.items() if value.label != label}
        return replace(self, table=self.table.remove(label), reopened=reopened)

    def without(self, plane: Plane) -> Self:
        """Return the document with nothing open on a plane."""
        reopened = {key: value for key, value in self.reopened.items() if key != plane}
        return replace(self.with_prompts(plane, EMPTY), reopened=reopened)


@dataclass(frozen=True, eq=False)
class Step:
    """One step of history: the documents before and after, and what it did to voxels."""

    before: Document
    after: Document
    plane: Plane | None
    edit: Edit | None = None

    def inverse(self) -> "Step":
        """Return the step that takes this one back."""
        edit = self.edit.inverse() if self.edit is not None else None
        return Step(self.after, self.before, self.plane, edit)


class History:
    """Steps that can be undone and redone; a new step ends what could be redone."""

    def __init__(self) -> None:
        self._done: deque[Step] = deque(maxlen=MAX_STEPS)
        self._undone: list[Step] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._undone)

    def push(self, step: Step) -> None:
        """Add a step that was just done."""
        self._done.append(step)
        self._undone.clear()

    def amend(self, document: Document) -> None:
        """Make a change that is not a step part of the state between two steps."""
        if self._done:
            self._done[-1] = replace(self._done[-1], after=document)
        if self._undone:
            self._undone[-1] = replace(self._undone[-1], before=document)

    def undo(self) -> Step:
        """Return what takes the last step back; the caller does it.

        Raises
        ------
        InputError
            If there is none.
        """
        if not self._done:
            message = "there is nothing to undo."
            raise InputError(message)
        step = self._done.pop()
        self._undone.append(step)
        return step.inverse()

    def redo(self) -> Step:
        """Return the last step that was undone; the caller does it again.

        Raises
        ------
        InputError
            If there is none.
        """
        if not self._undone:
            message = "there is nothing to redo."
            raise InputError(message)
        step = self._undone.pop()
        self._done.append(step)
        return step

"""Anything that a person may do, in any order, against a model that keeps full copies."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_samri.errors import InputError
from napari_samri.geometry import Plane
from napari_samri.prompts import Box, Point, PromptSet
from tests.session.fakes import Bench, make_volume
from tests.session.recording import Recording

SHAPE = (3, 4, 5)
PLANES = [Plane(axis, index) for axis in range(3) for index in range(SHAPE[axis])]
LABELS = st.integers(1, 4)
PROMPTS = st.one_of(
    st.just(PromptSet()),
    st.builds(
        lambda x, y, w, h: PromptSet(boxes=(Box(x, y, x + w, y + h),)),
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(1, 2),
        st.integers(1, 2),
    ),
    st.just(PromptSet(points=(Point(1, 1, False),))),
)


class Histories(RuleBasedStateMachine):
    """The oracle: copies of all labels and documents, on a stack."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(make_volume(SHAPE))
        self.bench.load()
        self.session = self.bench.session
        self.recording = Recording(self.session)
        self.session.look_at(PLANES[0])
        self.past: list[Any] = []
        self.future: list[Any] = []
        self.now = self._copy()

    def _copy(self) -> tuple[Any, ...]:
        return self.session.labels.copy(), self._content()

    def _content(self) -> tuple[Any, ...]:
        """Return the document, without the choice of a label, which is no step."""
        document = self.session.document
        return (
            dict(document.drawn),
            dict(document.reopened),
            document.table.labels,
            document.commits,
        )

    def _do(self, action: Any) -> None:
        """Do something that is a step, or refused, or nothing at all."""
        before = self._copy()
        locked = self._locked_voxels()
        steps = self.session.revision
        with suppress(InputError):
            action()
        if self.session.revision == steps:
            self._assert_at(before)
        else:
            assert self.session.revision == steps + 1
            self.past.append(before)
            self.future.clear()
            for label, voxels in locked.items():
                np.testing.assert_array_equal(self.session.labels == label, voxels)
        self.now = self._copy()

    def _locked_voxels(self) -> dict[int, np.ndarray]:
        locked = self.session.document.table.locked
        return {label: self.session.labels == label for label in locked}

    def _assert_at(self, state: tuple[Any, ...]) -> None:
        np.testing.assert_array_equal(self.session.labels, state[0])
        assert self._content() == state[1]

    @rule(plane=st.sampled_from(PLANES))
    def look(self, plane: Plane) -> None:
        self.session.look_at(plane)

    @rule(prompts=PROMPTS)
    def draw(self, prompts: PromptSet) -> None:
        self._do(lambda: self.session.set_prompts(prompts))

    @precondition(lambda self: self.session.request is not None)
    @rule(seed=st.integers(0, 99))
    def commit(self, seed: int) -> None:
        if self.bench.scheduler.busy:
            mask = np.random.default_rng(seed).random(self.bench.asked.pixels.shape) > 0.6
            self.bench.answer(mask)
        if self.session.preview is not None:
            self._do(self.session.commit)

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        plane = self.session.plane
        assert plane is not None
        rows, columns = plane.shape(self.bench.volume)
        row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
        self._do(lambda: self.session.reopen(plane, row, column))

    @rule(seed=st.integers(0, 99), label=st.integers(0, 4))
    def paint(self, seed: int, label: int) -> None:
        where = np.nonzero(np.random.default_rng(seed).random(SHAPE) > 0.8)
        if label:
            self.session.activate(label)  # as napari's brush does
            self.now = self._copy()
        self._do(lambda: self.session.paint(where, np.full(len(where[0]), label)))

    @rule(label=LABELS)
    def activate(self, label: int) -> None:
        if label in self.session.document.table:
            self.session.activate(label)

    @rule(label=LABELS, locked=st.booleans())
    def lock(self, label: int, locked: bool) -> None:
        table = self.session.document.table
        if label in table:
            self._do(lambda: self.session.set_table(table.change(label, locked=locked)))

    @rule(label=LABELS)
    def remove(self, label: int) -> None:
        self._do(lambda: self.session.remove_label(label))

    @precondition(lambda self: len(self.session.document.table.labels) < 4)
    @rule(label=LABELS)
    def add(self, label: int) -> None:
        table = self.session.document.table
        if label not in table:
            self._do(lambda: self.session.set_table(table.add(label=label)))

    @rule()
    def clear(self) -> None:
        self._do(self.session.clear)

    @rule()
    def undo(self) -> None:
        if self.past:
            self.future.append(self.now)
            self.session.undo()
            self.now = self.past.pop()
            self._assert_at(self.now)
        assert self.session.history.can_undo == bool(self.past)

    @rule()
    def redo(self) -> None:
        assert self.session.history.can_redo == bool(self.future)
        if self.future:
            self.past.append(self.now)
            self.session.redo()
            self.now = self.future.pop()
            self._assert_at(self.now)

    @invariant()
    def nothing_else_is_told(self) -> None:
        assert self.bench.errors == []

    @invariant()
    def what_is_recorded_is_what_is(self) -> None:
        """A journal's steps lead to the same labels and commits."""
        labels, document = self.recording.replayed()
        np.testing.assert_array_equal(labels, self.session.labels)
        if document is not None:
            assert document.commits == self.session.document.commits
            assert document.drawn == self.session.document.drawn
            assert document.reopened == self.session.document.reopened


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

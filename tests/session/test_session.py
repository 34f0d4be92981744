"""Intents and what becomes of them: masks, labels, history, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import Plane
from napari_samri.jobs.events import Failed
from napari_samri.prompts import Box, Line, Outline, Point, PromptSet, Stroke
from napari_samri.segment.masks import PostProcessing
from napari_samri.segment.protocol import Encode, ModelChoice, Predict
from napari_samri.session.session import Session
from tests.session.fakes import Bench, make_volume


def box(*corners: float) -> PromptSet:
    return PromptSet(boxes=(Box(*corners),))


BOX = box(1, 1, 3, 4)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.load()
    return bench


def commit(bench: Bench, prompts: PromptSet = BOX, mask: Any = None) -> None:
    bench.session.set_prompts(prompts)
    bench.answer(mask)
    bench.session.commit()


def full(bench: Bench, value: bool = True) -> np.ndarray:
    assert bench.session.plane is not None
    return np.full(bench.session.plane.shape(bench.volume), value)


# From a prompt to a label


def test_a_prompt_gets_a_mask_and_a_commit_a_label(bench: Bench) -> None:
    session = bench.session
    bench.look(0, 2)
    session.set_prompts(BOX)
    np.testing.assert_array_equal(bench.asked.pixels, bench.volume.array[2])
    assert session.preview is None
    bench.answer()
    assert session.preview is not None
    assert bench.previews == [session.preview]
    assert not session.labels.any()
    session.commit()
    expected = np.zeros((5, 6, 7), int)
    expected[2, 1:5, 1:4] = 1
    np.testing.assert_array_equal(session.labels, expected)
    assert session.document.drawn == {}
    assert session.preview is None
    assert session.unsaved


@pytest.mark.parametrize(
    ("shape", "axis", "index", "time"),
    [
        ((5, 6, 7), 0, 4, None),
        ((5, 6, 7), 1, 3, None),
        ((5, 6, 7), 2, 6, None),
        ((6, 7), 0, 0, None),
        ((2, 5, 6, 7), 0, 3, 1),
        ((2, 5, 6, 7), 2, 1, 0),
    ],
)
def test_on_any_plane(shape: tuple[int, ...], axis: int, index: int, time: int | None) -> None:
    bench = Bench(make_volume(shape))
    bench.load()
    plane = bench.look(axis, index, time)
    rows, columns = plane.shape(bench.volume)
    mask = np.random.default_rng(0).random((rows, columns)) > 0.5
    commit(bench, box(0, 0, 2, 3), mask)
    block = bench.session.labels if time is None else bench.session.labels[time]
    if len(shape) == 2:
        block = block[None]
    np.testing.assert_array_equal(np.take(block, index, axis), mask)
    assert np.count_nonzero(bench.session.labels) == mask.sum()
    bench.session.undo()
    assert not bench.session.labels.any()
    bench.session.redo()
    assert np.count_nonzero(bench.session.labels) == mask.sum()


def test_pixels_of_a_plane_are_measured_in_mm() -> None:
    bench = Bench(make_volume(spacing=4.0))
    for axis, expected in ((0, (0.5, 1.0)), (1, (0.5, 4.0)), (2, (1.0, 4.0))):
        bench.look(axis)
        bench.session.set_prompts(PromptSet(lines=(Line((0, 0), (3, 3)),)))
        request = bench.session.request
        assert request is not None
        assert request.pixel_size_xy == expected


def test_late_answers_are_dropped(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    first = bench.asked
    bench.session.set_prompts(box(0, 0, 2, 2))
    bench.answer(call=first)
    assert bench.session.preview is None
    bench.answer()
    assert bench.session.preview is not None
    bench.session.set_prompts(PromptSet())
    assert bench.session.preview is None
    bench.answer()
    assert bench.session.preview is None


def test_answers_for_a_slice_that_was_left_are_dropped(bench: Bench) -> None:
    bench.look(0, 1)
    bench.session.set_prompts(BOX)
    job = bench.asked
    bench.look(0, 2)
    bench.answer(call=job)
    assert bench.session.preview is None
    bench.look(0, 1)
    assert bench.asked is not job
    bench.answer()
    assert bench.session.preview is not None
    bench.look(0, 3)
    assert bench.session.preview is None


def test_requests_are_equal_where_the_mask_is() -> None:
    one, other = Bench(), Bench()
    for bench in (one, other):
        bench.look(1, 2)
        bench.session.set_prompts(BOX)
    assert one.session.request == other.session.request
    assert hash(one.session.request) == hash(other.session.request)
    before = one.session.request
    changes = (
        lambda s: s.set_candidates(True),
        lambda s: s.set_post(PostProcessing(fill_holes=True)),
        lambda s: s.set_prompts(box(1, 1, 3, 5)),
        lambda s: s.look_at(Plane(1, 3)),
    )
    for change in changes:
        change(one.session)
        assert one.session.request != before
        before = one.session.request
    one.session.look_at(Plane(1, 2))
    one.session.change_image(make_volume())
    assert one.session.request != other.session.request


def test_the_same_prompts_are_no_step_and_ask_nothing(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    asked = len(bench.engine.of(Predict))
    bench.session.set_prompts(box(1, 1, 3, 4))
    assert len(bench.engine.of(Predict)) == asked
    bench.session.undo()
    assert not bench.session.history.can_undo


def test_negative_points_alone_wait_for_more(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(PromptSet(points=(Point(1, 1, False),)))
    assert bench.engine.of(Predict) == []
    bench.session.set_prompts(PromptSet(points=(Point(1, 1, False), Point(2, 2))))
    assert len(bench.engine.of(Predict)) == 1


def test_without_live_prediction_run_asks(bench: Bench) -> None:
    bench.session.live = False
    bench.look()
    bench.session.set_prompts(BOX)
    assert bench.engine.of(Predict) == []
    bench.session.run()
    bench.session.run()
    assert len(bench.engine.of(Predict)) == 1
    bench.answer()
    assert bench.session.preview is not None


def test_candidates_are_chosen_from(bench: Bench) -> None:
    session = bench.session
    bench.look()
    session.set_candidates(True)
    session.set_prompts(BOX)
    assert bench.asked.multimask
    masks = np.zeros((3, 6, 7), bool)
    for number in range(3):
        masks[number, : number + 1] = True
    bench.answer(masks, scores=np.array([0.1, 0.3, 0.2], np.float32))
    assert session.preview is not None
    assert session.preview.chosen == 1
    session.choose(2)
    assert bench.previews[-1].chosen == 2
    for number in (-1, 3):
        with pytest.raises(InputError, match="no candidate"):
            session.choose(number)
    session.commit()
    assert np.count_nonzero(session.labels) == 21
    assert session.document.commits[0].score == 0.2
    with pytest.raises(InputError, match="no candidate"):
        session.choose(0)


def test_all_kinds_of_prompts_together(bench: Bench) -> None:
    bench.look()
    prompts = PromptSet(
        boxes=(Box(0, 0, 2, 2),),
        points=(Point(1, 1), Point(5, 5, False)),
        strokes=(Stroke(((3, 1), (5, 1))),),
        lines=(Line((3, 3), (5, 5)),),
        outlines=(Outline(((0, 3), (2, 3), (2, 5))),),
    )
    bench.session.set_prompts(prompts)
    assert len(bench.asked.prompts) == 4
    bench.answer()
    bench.session.commit()
    assert bench.session.document.commits[0].prompts == prompts


# Commits


def test_a_commit_may_be_ahead_of_its_mask(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.commit()
    assert len(bench.engine.of(Predict)) == 1  # the encoder does not begin anew
    assert not bench.session.labels.any()
    bench.answer()
    assert bench.session.labels.any()
    assert bench.errors == []


def test_a_rename_does_not_disturb_a_commit_that_waits(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.commit()
    bench.session.set_table(bench.session.document.table.change(1, name="other"))
    bench.answer()
    assert bench.session.labels.any()


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda s: s.look_at(Plane(0, 1)),
        lambda s: s.set_prompts(box(0, 0, 2, 2)),
        lambda s: s.undo(),
        lambda s: s.clear(),
    ],
)
def test_a_commit_that_waits_is_given_up_with_a_word(bench: Bench, meanwhile: Any) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.commit()
    meanwhile(bench.session)
    assert len(bench.errors) == 1
    assert "not committed" in str(bench.errors[0])
    bench.answer()
    assert not bench.session.labels.any()


def test_a_lock_comes_before_a_commit_that_waits(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.commit()
    bench.session.set_table(bench.session.document.table.change(1, locked=True))
    bench.answer()
    assert not bench.session.labels.any()
    assert "locked" in str(bench.errors[0])
    assert bench.session.document.prompts(Plane(0, 0)) == BOX


def test_a_cancelled_commit_does_not_happen_later(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.commit()
    bench.scheduler.cancel()
    bench.session.run()
    bench.answer()
    assert bench.session.preview is not None
    assert not bench.session.labels.any()


def test_a_commit_whose_mask_fails_is_told(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.commit()
    bench.reply(bench.asked, Failed(error="ModelError", text="out of memory"))
    assert "out of memory" in str(bench.errors[0])
    bench.session.run()
    bench.answer()
    assert not bench.session.labels.any()


def test_provenance(bench: Bench) -> None:
    bench.load(id="other", encoder="f" * 64)
    bench.session.set_post(PostProcessing(fill_holes=True))
    bench.look(1, 3)
    commit(bench)
    (record,) = bench.session.document.commits
    assert record.plane == Plane(1, 3)
    assert (record.label, record.voxels) == (1, 12)
    assert record.prompts == BOX
    assert (record.model, record.encoder) == ("other", "f" * 64)
    assert record.score == 0.75
    assert record.post == ("fill_holes",)
    assert record.time.endswith("+00:00")
    bench.session.undo()
    assert bench.session.document.commits == ()


def test_a_score_that_means_nothing_is_not_kept(bench: Bench) -> None:
    bench.load(score_is_stale=True)
    bench.look()
    commit(bench)
    assert bench.session.document.commits[0].score is None


def test_several_components_of_several_objects(bench: Bench) -> None:
    bench.look()
    commit(bench, PromptSet(boxes=(Box(0, 0, 1, 1), Box(4, 4, 6, 5))))
    bench.session.next_object()
    commit(bench, box(1, 1, 4, 4))
    labels = bench.session.labels[0]
    assert (labels[0, 0], labels[5, 5], labels[1, 1], labels[3, 3]) == (1, 1, 2, 2)
    assert [record.label for record in bench.session.document.commits] == [1, 2]


# Objects that are re-opened


def test_reopened_refined_committed(bench: Bench) -> None:
    """What the new mask no longer has is erased; other parts and other labels stay."""
    session = bench.session
    plane = bench.look(0, 1)
    commit(bench, PromptSet(boxes=(Box(0, 0, 2, 2), Box(4, 4, 6, 5))))
    session.next_object()
    commit(bench, box(2, 2, 3, 3))
    before = session.labels.copy()
    session.reopen(plane, 0, 1)
    assert session.document.reopened[plane].label == 1
    session.set_prompts(PromptSet(points=(Point(0, 0, False),)))
    assert bench.asked.prompts[0].mask is not None
    assert bench.asked.prompts[0].box is not None
    session.set_prompts(PromptSet(points=(Point(1, 1), Point(0, 0, False))))
    (prompt,) = bench.asked.prompts
    assert prompt.mask is not None
    assert prompt.mask.array.sum() == 8  # the label's other part is none of this object
    mask = np.zeros((6, 7), bool)
    mask[1:3, 0:3] = True
    bench.answer(mask)
    session.commit()
    expected = before.copy()
    expected[1, 0, 0:3] = 0
    expected[1, 2, 2] = 1
    np.testing.assert_array_equal(session.labels, expected)
    assert session.document.reopened == {}
    assert session.document.table.active == 1  # as was shown when it was re-opened
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert plane in session.document.reopened


def ring() -> np.ndarray:
    """Return two parts of one label, one with a hole: what post-processing would change."""
    mask = np.zeros((6, 7), bool)
    mask[0:4, 0:4] = True
    mask[1:3, 1:3] = False
    mask[5, 5:] = True
    return mask


@pytest.mark.parametrize("live", [True, False])
def test_reopened_and_committed_without_a_correction_is_what_it_was(
    bench: Bench, live: bool
) -> None:
    session = bench.session
    session.set_post(PostProcessing(largest_component=True, fill_holes=True))
    session.live = live
    plane = bench.look(0, 1)
    session.set_prompts(BOX)
    session.run()
    bench.answer(ring())
    session.commit()
    before, calls = session.labels.copy(), len(bench.engine.calls)
    records = session.document.commits
    session.set_candidates(True)
    session.reopen(plane, 0, 0)
    np.testing.assert_array_equal(session.preview.mask, ring() & (np.arange(6) < 5)[:, None])
    session.run()
    session.commit()
    np.testing.assert_array_equal(session.labels, before)
    assert len(bench.engine.calls) == calls, "no model is asked"
    assert session.document.commits == records, "no model made a mask"
    assert session.document.reopened == {}


def test_boxes_beside_a_reopened_object_leave_it_as_it_was(bench: Bench) -> None:
    session = bench.session
    plane = bench.look()
    commit(bench, mask=ring())
    before = session.labels.copy()
    session.reopen(plane, 0, 0)
    session.set_prompts(PromptSet(boxes=(Box(5, 0, 6, 1),)))
    (prompt,) = bench.asked.prompts
    assert prompt.box == Box(5, 0, 6, 1)
    bench.answer()
    session.commit()
    expected = before.copy()
    expected[0, 0:2, 5:7] = 1
    np.testing.assert_array_equal(session.labels, expected)


def shown_and_written(bench: Bench) -> tuple[int, int]:
    """Return the active label, and the one that a commit of an enlarged object writes."""
    session = bench.session
    active = session.document.table.active
    session.set_prompts(PromptSet(points=(Point(2, 2),)))
    bench.answer(np.ones((6, 7), bool))
    session.commit()
    session.undo()
    session.redo()
    return active, int(session.labels[session.plane.index, 5, 6])


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Return a bench with an object of label 1 on slice 1 re-opened, and label 2 in the table."""
    plane = bench.look(0, 1)
    commit(bench)
    bench.session.next_object()
    bench.session.reopen(plane, 2, 2)
    return bench


def test_the_label_of_what_is_reopened_is_the_active_one(two: Bench) -> None:
    assert shown_and_written(two) == (1, 1)


def test_another_label_chosen_meanwhile_is_the_one_that_is_written(two: Bench) -> None:
    two.session.activate(2)
    assert shown_and_written(two) == (2, 2)
    assert not (two.session.labels == 1).any(), "the object changed its label"


def test_coming_back_to_what_is_reopened_makes_its_label_the_active_one(two: Bench) -> None:
    two.look(0, 3)
    two.session.activate(2)
    two.look(0, 1)
    assert shown_and_written(two) == (1, 1)


def test_undoing_a_commit_of_what_was_reopened_makes_its_label_the_active_one(two: Bench) -> None:
    two.session.set_prompts(PromptSet(points=(Point(2, 2),)))
    two.answer()
    two.session.commit()
    two.session.activate(2)
    two.session.undo()
    assert two.session.document.table.active == 1


def test_undoing_the_pick_brings_the_label_before_it_back(two: Bench) -> None:
    two.session.undo()
    assert two.session.document.table.active == 2


def test_what_cannot_be_reopened_changes_nothing(two: Bench) -> None:
    session = two.session
    session.clear()
    session.set_table(session.document.table.change(1, locked=True).activate(2))
    before = (session.document, session.revision, session.preview, session.plane)
    with pytest.raises(InputError, match="locked"):
        session.reopen(Plane(0, 1), 2, 2)
    with pytest.raises(InputError, match="no object"):
        session.reopen(Plane(0, 2), 2, 2)
    assert (session.document, session.revision, session.preview, session.plane) == before


def test_boxes_beside_a_reopened_object_are_further_objects(bench: Bench) -> None:
    plane = bench.look()
    commit(bench)
    bench.session.reopen(plane, 2, 2)
    bench.session.set_prompts(PromptSet(boxes=(Box(4, 0, 6, 1),), points=(Point(2, 2),)))
    first, second = bench.asked.prompts
    assert first.mask is not None
    assert first.points == (Point(2, 2),)
    assert second.box == Box(4, 0, 6, 1)


def test_reopening_goes_to_the_plane(bench: Bench) -> None:
    bench.look(0, 1)
    commit(bench)
    bench.look(0, 3)
    bench.session.reopen(Plane(1, 2), 1, 2)
    assert bench.session.plane == Plane(1, 2)
    with pytest.raises(InputError, match="no object"):
        bench.session.reopen(Plane(0, 4), 0, 0)
    for row, column in ((-1, 0), (0, -1), (6, 0), (0, 7)):
        with pytest.raises(InputError, match="no object"):
            bench.session.reopen(Plane(0, 1), row, column)


def test_clear_closes_what_was_reopened(bench: Bench) -> None:
    plane = bench.look()
    commit(bench)
    before = bench.session.labels.copy()
    bench.session.reopen(plane, 2, 2)
    bench.session.clear()
    assert bench.session.request is None
    np.testing.assert_array_equal(bench.session.labels, before)
    steps = bench.session.revision
    bench.session.clear()
    assert bench.session.revision == steps


def test_a_label_that_goes_takes_what_was_reopened_of_it(bench: Bench) -> None:
    plane = bench.look()
    commit(bench)
    bench.session.next_object()
    bench.session.reopen(plane, 2, 2)
    bench.session.remove_label(1)
    assert bench.session.request is None
    with pytest.raises(InputError, match="nothing to commit"):
        bench.session.commit()
    bench.session.undo()
    assert bench.session.document.reopened[plane].label == 1


# Locks


@pytest.fixture
def locked(bench: Bench) -> Bench:
    """Return a bench with label 1 on rows 0 to 2 of slice 0, locked, and label 2 active."""
    mask = np.zeros((6, 7), bool)
    mask[:3] = True
    bench.look()
    commit(bench, mask=mask)
    table = bench.session.document.table.change(1, locked=True)
    bench.session.set_table(table.add())
    return bench


def test_a_commit_spares_locked_labels(locked: Bench) -> None:
    commit(locked, mask=full(locked))
    assert (locked.session.labels[0, :3] == 1).all()
    assert (locked.session.labels[0, 3:] == 2).all()
    assert locked.session.document.commits[-1].voxels == 21


def test_a_mask_wholly_on_locked_labels_is_refused(locked: Bench) -> None:
    locked.session.set_prompts(BOX)
    mask = np.zeros((6, 7), bool)
    mask[0] = True
    locked.answer(mask)
    with pytest.raises(InputError, match="locked labels"):
        locked.session.commit()
    assert locked.session.document.prompts(Plane(0, 0)) == BOX


def test_locked_labels_refuse_all_that_is_meant_for_them(locked: Bench) -> None:
    session = locked.session
    before = session.labels.copy()
    session.activate(1)
    session.set_prompts(BOX)
    locked.answer()
    for action in (
        session.commit,
        lambda: session.reopen(Plane(0, 0), 0, 0),
        lambda: session.remove_label(1),
    ):
        with pytest.raises(InputError, match="locked"):
            action()
    np.testing.assert_array_equal(session.labels, before)


def test_paint_spares_locked_labels(locked: Bench) -> None:
    session = locked.session
    told: list[Any] = []
    session.labels_changed.connect(told.append)
    where = (np.zeros(4, int), np.array([2, 3, 3, 4]), np.array([0, 0, 1, 2]))
    with pytest.raises(InputError, match="2 voxels"):  # one of them under, one with the lock
        session.paint(where, np.array([2, 1, 2, 2]))
    assert session.labels[0, 2, 0] == 1
    assert session.labels[0, 3, 0] == 0
    assert session.labels[0, 3, 1] == session.labels[0, 4, 2] == 2
    np.testing.assert_array_equal(told[-1].where, np.ravel_multi_index(where, (5, 6, 7)))
    session.undo()
    assert not session.labels[0, 3:].any()


def test_painting_nothing_new_is_no_step(bench: Bench) -> None:
    bench.look()
    bench.session.paint((np.array([0]), np.array([0]), np.array([0])), np.array([0]))
    assert not bench.session.history.can_undo


# History


def test_undo_goes_where_it_happened(bench: Bench) -> None:
    revealed: list[Plane] = []
    bench.session.revealed.connect(revealed.append)
    bench.look(0, 1)
    commit(bench)
    bench.look(2, 3)
    bench.session.set_prompts(BOX)
    bench.session.undo()
    assert revealed == []
    bench.session.undo()
    assert revealed == [Plane(0, 1)]
    assert bench.session.plane == Plane(0, 1)
    assert bench.session.document.prompts(Plane(0, 1)) == BOX
    bench.answer()  # its mask is back too
    assert bench.session.preview is not None
    bench.session.undo()
    for action in (bench.session.undo,):
        with pytest.raises(InputError, match="nothing to undo"):
            action()
    for _ in range(3):
        bench.session.redo()
    with pytest.raises(InputError, match="nothing to redo"):
        bench.session.redo()
    assert bench.session.plane == Plane(2, 3)
    assert bench.session.labels[1].any()


def test_the_label_chosen_last_stays_chosen_through_undo(bench: Bench) -> None:
    session = bench.session
    session.next_object()
    bench.look()
    session.set_prompts(BOX)
    session.activate(1)
    session.undo()
    session.redo()
    assert session.document.table.active == 1
    session.undo()
    session.undo()  # the second label goes
    assert session.document.table.active == 1
    session.redo()
    assert session.document.table.active == 2


def test_a_label_that_is_painted_with_is_added(bench: Bench) -> None:
    bench.session.activate(7)
    assert bench.session.document.table.active == 7
    assert 7 in bench.session.document.table
    assert not bench.session.history.can_undo
    bench.session.activate(1)
    assert bench.session.document.table.active == 1


def test_only_the_last_thousand_steps_are_kept(bench: Bench) -> None:
    bench.look()
    for number in range(1010):
        bench.session.set_prompts(box(0, 0, 3, 1 + number / 1000))
    count = 0
    while bench.session.history.can_undo:
        bench.session.undo()
        count += 1
    assert count == 1000


# What is refused


def test_labels_of_another_shape_or_kind_are_refused() -> None:
    volume = make_volume()
    with pytest.raises(GeometryError, match="shape"):
        Bench(volume, np.zeros((5, 6, 8), np.uint8))
    with pytest.raises(InputError, match="integers"):
        Bench(volume, np.zeros((5, 6, 7)))
    frozen = np.zeros((5, 6, 7), np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(InputError, match="read-only"):
        Bench(volume, frozen)


def test_labels_that_are_there_are_gone_on_with() -> None:
    labels = np.zeros((5, 6, 7), np.int16)
    labels[0, 0, 0], labels[1, 1, 1] = 5, 9
    bench = Bench(labels=labels)
    table = bench.session.document.table
    assert [entry.id for entry in table] == [1, 5, 9]
    assert table.active == 5
    bench.look()
    commit(bench)
    assert labels[0, 2, 2] == 5


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_labels_of_few_bits(dtype: type) -> None:
    highest = np.iinfo(dtype).max
    labels = np.zeros((5, 6, 7), dtype)
    labels[4] = highest
    bench = Bench(labels=labels)
    bench.session.next_object()
    assert bench.session.document.table.active == 2  # the lowest that is free
    bench.look()
    commit(bench)
    assert labels[0, 2, 2] == 2
    bench.session.activate(300)
    bench.session.set_prompts(BOX)
    bench.answer()
    with pytest.raises(InputError, match="holds no label 300"):
        bench.session.commit()


def test_nothing_to_go_by(bench: Bench) -> None:
    session = bench.session
    for action in (session.run, session.commit):
        with pytest.raises(InputError):
            action()
    with pytest.raises(InputError, match="no slice is shown"):
        session.set_prompts(BOX)
    with pytest.raises(InputError, match="no slice is shown"):
        session.clear()
    bench.look()
    session.look_at(None)
    assert session.request is None


def test_an_empty_mask_is_not_committed(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.answer(full(bench, False))
    with pytest.raises(InputError, match="empty"):
        bench.session.commit()
    assert bench.session.document.prompts(Plane(0, 0)) == BOX
    bench.session.set_prompts(box(1, 1, 4, 4))
    bench.session.commit()  # not there yet
    bench.answer(full(bench, False))
    assert "empty" in str(bench.errors[0])


@pytest.mark.parametrize(
    "prompts",
    [
        box(20, 20, 30, 30),
        box(2, 2, 2, 2),
        PromptSet(points=(Point(-5, 1),)),
        PromptSet(outlines=(Outline(((50, 50), (60, 50), (60, 60))),)),
        PromptSet(strokes=(Stroke(((50, 50), (60, 60))),)),
    ],
)
def test_prompts_outside_leave_the_state_as_it_was(bench: Bench, prompts: PromptSet) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    before = bench.session.document
    with pytest.raises(InputError):
        bench.session.set_prompts(prompts)
    assert bench.session.document is before


def test_a_plane_outside_leaves_the_state_as_it_was(bench: Bench) -> None:
    plane = bench.look(0, 1)
    for wrong in (Plane(0, 5), Plane(3, 0), Plane(1, -1)):
        with pytest.raises(InputError):
            bench.session.look_at(wrong)
        with pytest.raises(InputError):
            bench.session.set_prompts(BOX, wrong)
    assert bench.session.plane == plane


# The image, models, and the end


def test_another_image_of_the_same_shape_is_asked_anew(bench: Bench) -> None:
    bench.look(0, 1)
    bench.session.set_prompts(BOX)
    bench.answer()
    other = replace(bench.volume, array=bench.volume.array + 1)
    bench.session.change_image(other)
    np.testing.assert_array_equal(bench.asked.pixels, other.array[1])
    np.testing.assert_array_equal(bench.engine.of(Encode)[-1].pixels, other.array[1])
    with pytest.raises(GeometryError):
        bench.session.change_image(make_volume((5, 6, 8)))
    assert bench.session.volume is other


def test_another_model_is_asked_anew(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.answer()
    bench.load(id="other")
    assert bench.session.request is not None
    assert bench.session.request.options.choice == ModelChoice(model="other")
    bench.answer(full(bench))
    assert bench.session.preview is not None
    assert bench.session.preview.mask.all()


def test_a_closed_session_hears_nothing(bench: Bench) -> None:
    bench.look()
    bench.session.set_prompts(BOX)
    bench.session.close()
    bench.answer()
    assert bench.session.preview is None
    assert bench.engine.closed
    for signal in (bench.scheduler.answered, bench.scheduler.failed, bench.scheduler.loaded):
        assert len(signal) == 0
    bench.session.close()


def test_two_sessions_do_not_disturb_each_other() -> None:
    one, other = Bench(), Bench()
    one.look()
    one.session.set_prompts(BOX)
    one.answer()
    one.session.commit()
    assert not other.session.labels.any()
    assert isinstance(other.session, Session)
    assert other.engine.calls == []


def test_a_label_chosen_between_steps_stays_through_undo_and_redo(bench: Bench) -> None:
    session = bench.session
    table = session.document.table
    session.set_table(table.add(label=2))
    session.activate(3)  # no step, but the label is in the table from now on
    session.paint((np.array([0]), np.array([0]), np.array([0])), np.array([3]))
    known = session.document.table.labels
    session.undo()
    session.undo()
    session.redo()
    assert session.document.table.labels == known
    session.redo()
    assert session.document.table.labels == known

"""What is embedded when, which answers count, and what goes on when something breaks."""

from __future__ import annotations

import os
import signal
import sys
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samri.errors import InputError, ModelError
from napari_samri.geometry import Plane
from napari_samri.geometry.intensity import Window, percentile_window
from napari_samri.jobs.events import Failed, Progressed, Stopped
from napari_samri.prompts import Box, PromptSet
from napari_samri.segment.protocol import (
    Answered,
    Call,
    CancelAll,
    Encode,
    Encoded,
    Load,
    Loaded,
    ModelChoice,
    Predict,
    Reply,
)
from napari_samri.session.engine import Died, ProcessEngine
from napari_samri.session.proposal import Preview, Request
from napari_samri.session.scheduler import Scheduler, slices_ahead
from tests.session.fakes import FakeEngine, make_info, make_volume

if TYPE_CHECKING:
    from collections.abc import Callable

BOX = PromptSet(boxes=(Box(1, 1, 3, 3),))
PATIENCE = 180


# Which slices come next


def _indices(index: int, last: int | None, size: int, count: int) -> list[int]:
    before = None if last is None else Plane(0, last)
    return [plane.index for plane in slices_ahead(Plane(0, index), before, size, count)]


def test_neighbours_in_the_direction_of_scrolling() -> None:
    assert _indices(5, 4, 20, 6) == [6, 7, 8, 9, 4, 10]
    assert _indices(5, 6, 20, 6) == [4, 3, 2, 1, 6, 0]
    assert _indices(5, None, 20, 3) == [6, 7, 8]
    assert _indices(19, 18, 20, 3) == [18, 17, 16]
    assert _indices(0, 1, 20, 2) == [1, 2]
    assert _indices(0, None, 1, 8) == []
    assert _indices(3, 2, 20, 0) == []


def test_another_axis_or_time_point_has_no_direction() -> None:
    planes = slices_ahead(Plane(1, 3, 2), Plane(0, 9, 2), 9, 2)
    assert planes == (Plane(1, 4, 2), Plane(1, 5, 2))
    planes = slices_ahead(Plane(0, 3, 2), Plane(0, 9, 1), 9, 1)
    assert planes == (Plane(0, 4, 2),)


@given(st.integers(1, 30), st.data())
def test_no_slice_twice_and_none_that_is_not_there(size: int, data: st.DataObject) -> None:
    index, last = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    count = data.draw(st.integers(0, 40))
    found = _indices(index, last, size, count)
    assert len(found) == len(set(found)) == min(count, size - 1)
    assert set(found) <= set(range(size)) - {index}
    sides = [[abs(n - index) for n in found if (n - index) * side > 0] for side in (-1, 1)]
    assert all(side == sorted(side) for side in sides)


# With an engine that a test plays


class Desk:
    def __init__(self, ahead: int = 3, **info: Any) -> None:
        self.engine = FakeEngine()
        self.volume = make_volume((8, 6, 7))
        self.scheduler = Scheduler(self.engine, self.volume, ahead)
        self.answers: list[Preview] = []
        self.errors: list[Exception] = []
        self.activities: list[Progressed | None] = []
        self.scheduler.answered.connect(self.answers.append)
        self.scheduler.failed.connect(self.errors.append)
        self.scheduler.activity.connect(self.activities.append)
        self.scheduler.load(ModelChoice(model="fake"))
        self.reply(1, Loaded(info=make_info(**info)))

    def receive(self, event: Any) -> None:
        self.scheduler.receive(event)

    def reply(self, call: Call | int, event: Any) -> None:
        self.receive(Reply(call if isinstance(call, int) else call.number, event))

    def ask(self, index: int = 0, prompts: PromptSet = BOX) -> Predict:
        self.scheduler.ask(Request(plane=Plane(0, index), slice_shape=(6, 7), prompts=prompts))
        return self.engine.of(Predict)[-1]

    def answer(self, call: Predict) -> None:
        mask = np.ones((1, *call.pixels.shape), bool)
        self.reply(call, Answered(masks=mask, scores=np.ones(1, np.float32)))

    @property
    def ahead(self) -> list[int]:
        """Indices of the slices that were embedded ahead."""
        return [self.index(call) for call in self.engine.of(Encode) if not call.urgent]

    def index(self, call: Encode | Predict) -> int:
        return next(
            n for n, pixels in enumerate(self.volume.array) if np.array_equal(pixels, call.pixels)
        )

    def finish_last(self, event: Any = Encoded()) -> None:  # noqa: B008  # it is frozen
        self.reply(self.engine.of(Encode)[-1], event)


def test_a_slice_then_its_neighbours_one_by_one() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    first = desk.engine.of(Encode)
    assert [(desk.index(call), call.urgent) for call in first] == [(2, True)]
    for expected in ([3], [3, 4], [3, 4, 5], [3, 4, 5]):
        desk.finish_last()
        assert desk.ahead == expected
    desk.scheduler.look_at(Plane(0, 1))
    desk.finish_last()
    assert desk.ahead[3:] == [0]


def test_never_more_than_one_slice_ahead_under_way() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.finish_last()
    desk.answer(desk.ask(2))
    desk.reply(99, Progressed(done=0, total=1, what="encoding"))
    assert desk.ahead == [3]


def test_embedding_ahead_goes_on_after_a_prompt() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.finish_last()
    call = desk.ask(2)
    desk.finish_last(Stopped())
    assert desk.ahead == [3]  # not while a prompt waits
    desk.answer(call)
    assert desk.ahead == [3, 3]
    desk.finish_last()
    assert desk.ahead == [3, 3, 4]


def test_embedding_ahead_goes_on_after_a_prompt_that_was_taken_back() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.finish_last()
    call = desk.ask(2)
    desk.finish_last(Stopped())
    desk.reply(call, Progressed(done=1, total=2, what="encoding"))
    desk.scheduler.forget()
    desk.answer(call)
    assert desk.answers == []
    assert desk.activities[-1] is None  # no progress bar that never ends
    assert desk.ahead == [3, 3]


def test_what_was_to_come_before_another_view_is_let_go() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 1))
    desk.finish_last()
    interrupted = desk.engine.of(Encode)[-1]
    desk.scheduler.look_at(Plane(0, 5))
    desk.reply(interrupted, Stopped())
    desk.finish_last()
    assert desk.ahead == [2, 6]


def test_a_slice_that_cannot_be_embedded_is_no_news_while_only_looking() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.finish_last(Failed(error="InputError", text="constant"))
    desk.finish_last(Failed(error="InputError", text="constant"))
    assert desk.errors == []
    assert desk.ahead == [3, 4]


def test_a_prompt_that_fails_is_told() -> None:
    desk = Desk()
    desk.reply(desk.ask(), Failed(error="InputError", text="the slice is constant"))
    assert [type(error) for error in desk.errors] == [InputError]
    assert not desk.scheduler.busy


def test_late_answers_are_dropped() -> None:
    desk = Desk()
    first = desk.ask()
    second = desk.ask(prompts=PromptSet(boxes=(Box(0, 0, 2, 2),)))
    desk.answer(first)
    assert desk.answers == []
    desk.reply(first, Stopped())
    desk.answer(second)
    assert [answer.request.prompts.boxes for answer in desk.answers] == [(Box(0, 0, 2, 2),)]
    desk.answer(second)
    assert len(desk.answers) == 1


def test_the_same_request_is_not_begun_anew() -> None:
    """For the encoder would start from the beginning."""
    desk = Desk()
    first = desk.ask()
    assert desk.ask() is first
    desk.answer(first)
    assert desk.ask() is not first


def test_another_view_makes_what_was_asked_stale() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 0))
    call = desk.ask()
    desk.scheduler.look_at(Plane(0, 1))
    assert not desk.scheduler.busy
    assert desk.engine.of(Encode)[-1].view > call.view


def test_prompts_that_say_nothing_are_refused() -> None:
    desk = Desk()
    with pytest.raises(InputError):
        desk.ask(prompts=PromptSet(boxes=(Box(50, 50, 60, 60),)))
    assert desk.engine.of(Predict) == []


def test_the_best_candidate_is_chosen() -> None:
    desk = Desk()
    scores = np.array([0.2, 0.9, 0.4], np.float32)
    desk.reply(desk.ask(), Answered(masks=np.ones((3, 6, 7), bool), scores=scores))
    assert desk.answers[0].chosen == 1
    assert desk.answers[0].mask.shape == (6, 7)


# Models


def test_another_model_answers_anew() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    first = desk.ask(2)
    desk.scheduler.load(ModelChoice(model="other"))
    assert desk.activities[-1] == Progressed(what="Loading other")
    call = desk.engine.of(Load)[-1]
    desk.reply(call, Loaded(info=make_info(id="other")))
    assert desk.scheduler.choice.model == "other"
    assert desk.activities[-1] is None
    again = desk.engine.of(Predict)[-1]
    assert again is not first
    assert again.view == desk.engine.of(Encode)[-1].view
    desk.answer(again)
    assert len(desk.answers) == 1


def test_a_model_that_does_not_load_changes_nothing() -> None:
    desk = Desk()
    desk.scheduler.load(ModelChoice(model="other"))
    call = desk.engine.of(Load)[-1]
    desk.reply(call, Failed(error="ModelError", text="no"))
    assert isinstance(desk.errors[0], ModelError)
    assert desk.scheduler.choice.model == "fake"
    assert not desk.scheduler.busy


def test_of_two_models_the_first_may_be_the_one_that_runs() -> None:
    """Because the second does not load: then the first one's name is the one shown."""
    desk = Desk()
    for name in ("a", "b"):
        desk.scheduler.load(ModelChoice(model=name))
    first, second = desk.engine.of(Load)[-2:]
    desk.reply(first, Loaded(info=make_info(id="a")))
    assert desk.scheduler.busy
    assert desk.activities[-1] == Progressed(what="Loading b")
    desk.reply(second, Failed(error="ModelError", text="no"))
    assert (desk.scheduler.choice.model, desk.scheduler.info.id) == ("a", "a")  # type: ignore[union-attr]
    assert not desk.scheduler.busy


def test_loading_stays_shown_while_slices_come() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.scheduler.load(ModelChoice(model="other"))
    desk.finish_last()
    assert desk.activities[-1] == Progressed(what="Loading other")


def test_cancel_stops_everything() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.finish_last()
    call = desk.ask(2)
    desk.scheduler.load(ModelChoice(model="other"))
    desk.scheduler.cancel()
    cancel = desk.engine.calls[-1]
    assert isinstance(cancel, CancelAll)
    assert cancel.number > max(call.number for call in desk.engine.calls[:-1])
    assert not desk.scheduler.busy
    assert desk.activities[-1] is None
    for event in (*desk.engine.of(Encode), call):
        desk.reply(event, Stopped())
    desk.answer(call)  # it was too late to stop it
    assert desk.answers == []
    assert desk.errors == []
    assert desk.ahead == [3]
    assert desk.ask(2) is not call  # and the same can be asked anew


def test_a_load_cancelled_too_late_is_the_one_that_runs() -> None:
    desk = Desk()
    desk.scheduler.load(ModelChoice(model="other"))
    desk.scheduler.cancel()
    desk.reply(desk.engine.of(Load)[-1], Loaded(info=make_info(id="other")))
    assert desk.scheduler.choice.model == "other"


# The volume's window


def _until(desk: Desk, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        try:
            desk.receive(desk.engine.events.get(timeout=0.1))
        except Empty:
            continue


def test_models_that_need_the_volumes_window_wait_for_it() -> None:
    desk = Desk(needs_window=True)
    desk.scheduler.look_at(Plane(0, 2))
    desk.scheduler.ask(Request(plane=Plane(0, 2), slice_shape=(6, 7), prompts=BOX))
    assert desk.engine.of(Encode) == []
    assert desk.scheduler.busy
    _until(desk, lambda: bool(desk.engine.of(Predict)))
    expected = percentile_window(desk.volume.array)
    assert [call.window for call in desk.engine.of(Encode)] == [expected]
    assert desk.engine.of(Predict)[0].window == expected
    desk.answer(desk.engine.of(Predict)[0])
    assert len(desk.answers) == 1


def test_the_window_of_an_image_that_was_changed_is_not_used() -> None:
    desk = Desk(needs_window=True)
    desk.scheduler.look_at(Plane(0, 2))
    event = desk.engine.events.get(timeout=30)
    other = make_volume((8, 6, 7))
    other.array[:] += 100
    desk.scheduler.change_image(other)
    desk.receive(event)
    assert desk.engine.of(Encode) == []
    _until(desk, lambda: bool(desk.engine.of(Encode)))
    assert desk.engine.of(Encode)[0].window == percentile_window(other.array)
    assert isinstance(desk.engine.of(Encode)[0].window, Window)


# The end of the model's process


def test_a_death_is_told_and_the_next_request_goes_out() -> None:
    desk = Desk()
    desk.scheduler.look_at(Plane(0, 2))
    desk.ask(2)
    desk.receive(Died(code=-9, text="Killed"))
    assert isinstance(desk.errors[0], ModelError)
    assert "-9 (Killed)" in str(desk.errors[0])
    assert not desk.scheduler.busy
    assert desk.activities[-1] is None
    assert desk.ask(2) is desk.engine.calls[-1]


class Real:
    """The starter in a process of its own."""

    def __init__(self) -> None:
        self.engine = ProcessEngine()
        array = np.random.default_rng(0).normal(size=(4, 64, 64)).astype(np.float32)
        array[:, 20:40, 16:44] += 20
        volume = make_volume((4, 64, 64))
        volume.array[:] = array
        self.scheduler = Scheduler(self.engine, volume, ahead=2)
        self.answers: list[Preview] = []
        self.errors: list[Exception] = []
        self.scheduler.answered.connect(self.answers.append)
        self.scheduler.failed.connect(self.errors.append)

    def until(self, holds: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end
            try:
                self.scheduler.receive(self.engine.events.get(timeout=0.1))
            except Empty:
                continue

    def ask(self, box: Box) -> None:
        prompts = PromptSet(boxes=(box,))
        self.scheduler.ask(Request(plane=Plane(0, 1), slice_shape=(64, 64), prompts=prompts))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_the_starter_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers, tells of errors, dies, and is started again by the next prompt."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    real = Real()
    real.scheduler.cancel()  # no reason to start one
    assert real.engine.pid is None
    real.scheduler.load(ModelChoice(device="cpu"))
    real.scheduler.look_at(Plane(0, 1))
    real.ask(Box(16, 20, 43, 39))
    real.until(lambda: real.answers)
    assert real.answers[0].mask[22:38, 18:42].mean() > 0.8

    real.scheduler.load(ModelChoice(model="no such model"))
    real.until(lambda: real.errors)
    assert "no such model" in str(real.errors.pop())
    assert not real.scheduler.busy

    first = real.engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    real.until(lambda: real.errors)
    assert "-9" in str(real.errors.pop())
    real.ask(Box(15, 20, 43, 39))
    real.until(lambda: len(real.answers) == 2)
    assert real.errors == []
    assert real.scheduler.choice == ModelChoice(device="cpu")
    second = real.engine.pid
    assert second not in {first, None}
    real.engine.close()
    real.engine.close()
    end = time.monotonic() + 30
    while real.engine.pid is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    real.ask(Box(14, 20, 43, 39))  # goes nowhere
    assert real.engine.pid is None

"""The model's process, without the process: which job comes first, and which are dropped."""

from __future__ import annotations

import time
import warnings
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.errors import InputWarning, ModelError
from napari_samri.geometry.intensity import Window
from napari_samri.jobs.events import Failed, Progressed, Stopped
from napari_samri.prompts import Box, MaskRegion, Point, Prompt
from napari_samri.segment.masks import PostProcessing
from napari_samri.segment.protocol import (
    Answered,
    CancelAll,
    Encode,
    Encoded,
    Load,
    Loaded,
    ModelChoice,
    Predict,
    Reply,
)
from napari_samri.segment.worker import Worker
from tests.segment.fakes import FakePredictor, slice_of

if TYPE_CHECKING:
    from napari_samri import Predictor

PATIENCE = 60
BOX = (Prompt(Box(1, 1, 3, 2)),)


class Desk:
    """Gives jobs to a worker and sorts what comes back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.replies: Queue[Reply] = Queue()
        self.progress: list[Reply] = []
        self.worker = Worker(self.replies.put)
        self.shelf: dict[str, Any] = {}
        self.choices: list[tuple[Any, ...]] = []
        self.assumed: list[str] = []
        monkeypatch.setattr("napari_samri.segment.predictor.load_predictor", self._load)

    def _load(self, model: str, device: str, cache: Any, **options: Any) -> Any:
        self.choices.append((model, device, cache.memory.max_bytes, options["family"]))
        options["progress"](1, 2)
        found = self.shelf.get(model, ModelError(f"there is no {model}"))
        if isinstance(found, Exception):
            raise found
        for text in self.assumed:
            warnings.warn(text, InputWarning, stacklevel=2)
        return found

    def next(self) -> Reply:
        while True:
            reply = self.replies.get(timeout=PATIENCE)
            if not isinstance(reply.event, Progressed):
                return reply
            self.progress.append(reply)

    def outcomes(self, count: int) -> dict[int, str]:
        """Return what became of the next so many calls."""
        replies = [self.next() for _ in range(count)]
        return {reply.number: type(reply.event).__name__ for reply in replies}

    def silent(self, seconds: float = 0.2) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                reply = self.replies.get(timeout=0.02)
            except Empty:
                continue
            if not isinstance(reply.event, Progressed):
                return False
        return True

    def use(self, predictor: Any, number: int = 1) -> None:
        self.shelf["fake"] = predictor
        self.worker.accept(Load(number=number, choice=ModelChoice(model="fake")))
        assert isinstance(self.next().event, Loaded)

    def until_begun(self, predictor: FakePredictor, count: int) -> None:
        end = time.monotonic() + PATIENCE
        while len(predictor.begun) < count:
            assert time.monotonic() < end
            time.sleep(0.002)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


@pytest.fixture
def slow(desk: Desk) -> FakePredictor:
    """Return a predictor in use whose slices wait until a test lets them pass."""
    predictor = FakePredictor(open=False)
    desk.use(predictor)
    return predictor


def test_what_is_assumed_of_a_file_reaches_the_window(desk: Desk) -> None:
    """It is warned of in this process, whose output nobody reads."""
    desk.shelf["fake"] = FakePredictor()
    desk.assumed = ["Taken for a MedSAM.", "Put onto SAM."]
    desk.worker.accept(Load(number=1, choice=ModelChoice(model="fake")))
    event = desk.next().event
    assert isinstance(event, Loaded)
    assert event.info.notes == "Taken for a MedSAM. Put onto SAM."
    assert event.info.takes_points


def encode(number: int, index: int, **fields: Any) -> Encode:
    return Encode(number=number, pixels=slice_of(index), **fields)


def predict(number: int, index: int, **fields: Any) -> Predict:
    fields = {"prompts": BOX, **fields}
    return Predict(number=number, pixels=slice_of(index), **fields)


# Models


def test_a_model_is_told_of_when_it_runs(desk: Desk) -> None:
    desk.shelf["there"] = FakePredictor("there", needs_window=True)
    choice = ModelChoice(model="there", device="cpu", family="medsam", memory_mb=3)
    desk.worker.accept(Load(number=4, choice=choice))
    event = desk.next().event
    assert isinstance(event, Loaded)
    assert (event.info.id, event.info.needs_window) == ("there", True)
    assert desk.choices == [("there", "cpu", 3 << 20, "medsam")]
    assert desk.progress == [Reply(4, Progressed(done=1, total=2, what="downloading"))]


def test_without_a_model_jobs_fail_with_a_reason(desk: Desk) -> None:
    desk.worker.accept(predict(1, 5))
    event = desk.next().event
    assert isinstance(event, Failed)
    assert "no model is loaded" in event.text


@pytest.mark.parametrize("problem", [ModelError("no such model"), MemoryError("none left")])
def test_a_model_that_does_not_load_leaves_the_old_one(desk: Desk, problem: Exception) -> None:
    desk.use(FakePredictor())
    desk.shelf["broken"] = problem
    desk.worker.accept(Load(number=2, choice=ModelChoice(model="broken")))
    event = desk.next().event
    assert isinstance(event, Failed)
    assert event.error == type(problem).__name__
    assert str(problem) in event.text
    desk.worker.accept(predict(3, 5))
    assert isinstance(desk.next().event, Answered)


def test_prompts_wait_for_the_model_that_is_on_its_way(desk: Desk) -> None:
    desk.shelf["fake"] = FakePredictor()
    desk.worker.accept(Load(number=1, choice=ModelChoice(model="fake")))
    desk.worker.accept(predict(2, 5))
    assert desk.outcomes(2) == {1: "Loaded", 2: "Answered"}


# What comes first


def test_a_slice_embedded_ahead_gives_way(desk: Desk, slow: FakePredictor) -> None:
    desk.worker.accept(encode(2, 5))
    desk.until_begun(slow, 1)
    desk.worker.accept(encode(3, 6, urgent=True, view=1))
    assert desk.next() == Reply(2, Stopped())
    slow.let(6)
    assert desk.next() == Reply(3, Encoded())
    assert slow.begun == [5, 6]


def test_prompts_on_a_new_slice_interrupt_too(desk: Desk, slow: FakePredictor) -> None:
    desk.worker.accept(encode(2, 5))
    desk.until_begun(slow, 1)
    desk.worker.accept(predict(3, 6))
    assert desk.next() == Reply(2, Stopped())
    slow.let(6)
    answer = desk.next()
    assert isinstance(answer.event, Answered)
    assert answer.number == 3


def test_a_newer_view_makes_what_is_urgent_stale(desk: Desk, slow: FakePredictor) -> None:
    desk.worker.accept(encode(2, 5, urgent=True, view=1))
    desk.until_begun(slow, 1)
    desk.worker.accept(predict(3, 5, view=1))
    for job, view in ((4, 2), (5, 3), (6, 4)):
        desk.worker.accept(encode(job, 10 + job, urgent=True, view=view))
    slow.let(16)
    assert desk.outcomes(5) == {
        2: "Stopped",
        3: "Stopped",
        4: "Stopped",
        5: "Stopped",
        6: "Encoded",
    }
    assert slow.begun == [5, 16]


def test_newer_prompts_supersede_older_ones(desk: Desk, slow: FakePredictor) -> None:
    for job in (2, 3, 4):
        desk.worker.accept(predict(job, 5))
    slow.let(5)
    assert desk.outcomes(3) == {2: "Stopped", 3: "Stopped", 4: "Answered"}
    assert slow.predicted == 1


def test_prompts_follow_a_slice_that_is_being_embedded(desk: Desk, slow: FakePredictor) -> None:
    desk.worker.accept(encode(2, 5, urgent=True, view=1))
    desk.until_begun(slow, 1)
    desk.worker.accept(predict(3, 5, view=1))
    slow.let(5)
    assert desk.outcomes(2) == {2: "Encoded", 3: "Answered"}
    assert slow.begun == [5]


def test_an_embedded_slice_answers_while_the_encoder_works(desk: Desk, slow: FakePredictor) -> None:
    slow.let(5)
    desk.worker.accept(encode(2, 5, urgent=True, view=1))
    assert desk.next() == Reply(2, Encoded())
    desk.worker.accept(encode(3, 6))
    desk.until_begun(slow, 2)
    desk.worker.accept(predict(4, 5, view=1))
    answer = desk.next()
    assert isinstance(answer.event, Answered)
    assert answer.number == 4
    assert desk.silent()  # and the encoder was not interrupted
    slow.let(6)
    assert desk.next() == Reply(3, Encoded())


def test_clicks_use_few_threads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[int | None] = []
    monkeypatch.setattr("napari_samri.models.bound_threads", bounds.append)
    desk.use(FakePredictor())
    desk.worker.accept(predict(2, 5))
    assert isinstance(desk.next().event, Answered)
    assert bounds == [None, 4]


def test_cancel_drops_what_runs_and_waits_but_not_what_comes(
    desk: Desk, slow: FakePredictor
) -> None:
    desk.worker.accept(encode(2, 5, urgent=True))
    desk.until_begun(slow, 1)
    desk.worker.accept(encode(3, 6))
    desk.worker.accept(predict(4, 7))
    desk.worker.accept(CancelAll(number=5))
    assert desk.outcomes(3) == {2: "Stopped", 3: "Stopped", 4: "Stopped"}
    slow.let(8)
    desk.worker.accept(predict(6, 8))
    assert desk.outcomes(1) == {6: "Answered"}


def test_a_load_can_be_cancelled(desk: Desk) -> None:
    desk.use(FakePredictor())
    slow = FakePredictor("slow", open=False)
    desk.shelf["slow"] = slow
    desk.worker.accept(CancelAll(number=3))
    desk.worker.accept(Load(number=2, choice=ModelChoice(model="slow")))
    assert desk.next() == Reply(2, Stopped())
    desk.worker.accept(predict(4, 5))  # by the old model: the slow one would wait
    assert isinstance(desk.next().event, Answered)


def test_long_encoding_is_told_of(desk: Desk, slow: FakePredictor) -> None:
    begun = time.monotonic()
    desk.worker.accept(encode(2, 5, urgent=True))
    told = [desk.replies.get(timeout=PATIENCE) for _ in range(3)]
    slow.let(5)
    assert desk.next() == Reply(2, Encoded())
    told += [event for event in desk.progress if event.number == 2]
    assert len(told) <= (time.monotonic() - begun) / 0.1
    assert told[0] == Reply(2, Progressed(done=500, total=1000, what="encoding"))


# What goes wrong


def test_errors_become_events_and_the_work_goes_on(desk: Desk) -> None:
    desk.use(FakePredictor())
    desk.worker.accept(encode(2, 99, urgent=True))
    broken = desk.next().event
    assert isinstance(broken, Failed)
    assert broken.text == "the model failed with RuntimeError: the encoder broke"
    desk.worker.accept(encode(3, 0))
    constant = desk.next().event
    assert isinstance(constant, Failed)
    assert (constant.error, constant.text) == ("InputError", "the slice is constant")
    desk.worker.accept(predict(4, 5, prompts=(Prompt(Box(50, 50, 60, 60)),)))
    outside = desk.next().event
    assert isinstance(outside, Failed)
    assert outside.error == "InputError"
    assert "outside the slice" in outside.text
    desk.worker.accept(predict(5, 5))
    assert isinstance(desk.next().event, Answered)


def test_the_window_of_the_volume_reaches_the_model(desk: Desk) -> None:
    predictor = FakePredictor(needs_window=True)
    desk.use(predictor)
    desk.worker.accept(encode(2, 5, window=Window(1, 9), urgent=True))
    desk.worker.accept(predict(3, 5, window=Window(2, 8)))
    assert desk.outcomes(2) == {2: "Encoded", 3: "Answered"}
    assert predictor.windows == [Window(1, 9), Window(2, 8)]


# The starter itself


def test_the_starter_answers(desk: Desk, starter: Predictor, one_thread: None) -> None:
    desk.use(starter)
    rows, columns = np.mgrid[:96, :80]
    pixels = 100.0 * (((rows - 50) / 20) ** 2 + ((columns - 40) / 14) ** 2 < 1)
    desk.worker.accept(Encode(number=2, pixels=pixels, view=1, urgent=True))
    assert desk.next() == Reply(2, Encoded())
    box = Prompt(Box(25, 29, 55, 71))
    for number, prompts, multimask in (
        (3, (box,), False),
        (4, (box, Prompt(points=(Point(10, 10),))), True),
        (5, (Prompt(Box(25, 29, 55, 71), mask=MaskRegion.from_array(pixels > 0)),), False),
    ):
        desk.worker.accept(
            Predict(
                number=number,
                pixels=pixels,
                prompts=prompts,
                view=1,
                multimask=multimask,
                post=PostProcessing(largest_component=True),
            )
        )
        answer = desk.next().event
        assert isinstance(answer, Answered)
        assert answer.masks.shape == (3 if multimask else 1, 96, 80)
        assert answer.masks.dtype == bool
        assert answer.scores.shape == answer.masks.shape[:1]
        assert answer.scores.dtype == np.float32
    assert (answer.masks[0] & (pixels > 0)).sum() > 0.7 * (pixels > 0).sum()

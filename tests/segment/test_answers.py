"""Several objects on a slice: joined, tidied one by one, and none computed twice."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_samri.errors import InputError
from napari_samri.prompts import Box, MaskRegion, Point, Prompt
from napari_samri.segment.answers import Answerer
from napari_samri.segment.masks import Candidates, PostProcessing
from tests.segment.fakes import FakePredictor, slice_of

LEFT, RIGHT = Prompt(Box(0, 0, 2, 2)), Prompt(Box(5, 1, 7, 3))


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def answerer(predictor: FakePredictor) -> Answerer:
    return Answerer(predictor)  # type: ignore[arg-type]


@pytest.fixture
def embedding(predictor: FakePredictor) -> object:
    return predictor.embed(slice_of(1), checkpoint=lambda _: None)


def test_objects_are_joined(answerer: Answerer, embedding: object) -> None:
    answer = answerer(embedding, [LEFT, RIGHT])  # type: ignore[arg-type]
    expected = np.zeros((6, 8), bool)
    expected[:3, :3] = expected[1:4, 5:] = True
    np.testing.assert_array_equal(answer.masks, expected[None])
    assert answer.scores.shape == (1,)
    assert answer.scores.dtype == np.float32


def test_candidates_of_objects_are_joined(answerer: Answerer, embedding: object) -> None:
    answer = answerer(embedding, [LEFT, RIGHT], multimask=True)  # type: ignore[arg-type]
    assert answer.masks.shape == (3, 6, 8)
    np.testing.assert_allclose(answer.scores, [0.5, 0.7, 0.9], atol=1e-6)


def test_only_the_new_object_is_computed(
    answerer: Answerer, embedding: object, predictor: FakePredictor
) -> None:
    answerer(embedding, [LEFT])  # type: ignore[arg-type]
    answerer(embedding, [LEFT, RIGHT])  # type: ignore[arg-type]
    answerer(embedding, [RIGHT, LEFT])  # type: ignore[arg-type]
    assert predictor.predicted == 2
    answerer(embedding, [LEFT], multimask=True)  # type: ignore[arg-type]
    assert predictor.predicted == 3
    other = predictor.embed(slice_of(2), checkpoint=lambda _: None)
    answerer(other, [LEFT])
    assert predictor.predicted == 4


def test_what_was_answered_long_ago_is_forgotten(
    answerer: Answerer,
    embedding: object,
    predictor: FakePredictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_samri.segment.answers._KEPT_BYTES", 65 * 1024)
    for number in range(70):
        answerer(embedding, [Prompt(Box(0, 0, 2, 2), (Point(number / 10, 0),))])  # type: ignore[arg-type]
    assert predictor.predicted == 70
    answerer(embedding, [Prompt(Box(0, 0, 2, 2), (Point(6.9, 0),))])  # type: ignore[arg-type]
    assert predictor.predicted == 70
    answerer(embedding, [Prompt(Box(0, 0, 2, 2), (Point(0, 0),))])  # type: ignore[arg-type]
    assert predictor.predicted == 71


def test_each_object_is_tidied_by_itself(answerer: Answerer, embedding: object) -> None:
    """The largest component of each, not of all together."""
    mask = np.zeros((6, 8), bool)
    mask[:2, :2] = mask[4, 7] = True
    prompts = [Prompt(mask=MaskRegion.from_array(mask)), RIGHT]
    answer = answerer(embedding, prompts, post=PostProcessing(largest_component=True))  # type: ignore[arg-type]
    assert answer.masks[0, :2, :2].all()
    assert not answer.masks[0, 4, 7]
    assert answer.masks[0, 1:4, 5:].all()
    again = answerer(embedding, prompts)  # type: ignore[arg-type]
    assert again.masks[0, 4, 7]  # what was tidied was not what is kept


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(),
        Prompt(points=(Point(1, 1, False),)),
        Prompt(Box(20, 0, 30, 5)),
        Prompt(mask=MaskRegion.from_array(np.zeros((6, 8)))),
        Prompt(mask=MaskRegion.from_array(np.ones((3, 3)))),
    ],
)
def test_prompts_that_say_nothing_are_refused(
    answerer: Answerer, embedding: object, prompt: Prompt
) -> None:
    with pytest.raises(InputError):
        answerer(embedding, [prompt])  # type: ignore[arg-type]


class Drawn:
    """Answers a box with a mask within it: three parts, one of them a ring, on a large slice."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.predicted = 0

    def predict(self, _: object, *, box_xyxy: Any, **__: Any) -> Candidates:
        self.predicted += 1
        x, y = (round(float(value)) for value in box_xyxy[:2])
        mask = np.zeros((1, *self.shape), bool)
        mask[0, y : y + 5, x : x + 5] = True
        mask[0, y + 1 : y + 4, x + 1 : x + 4] = False
        mask[0, y + 6, x + 1] = mask[0, y + 2, x + 2] = True
        return Candidates(mask, np.full(1, 0.5, np.float32), np.zeros((1, 4, 4), np.float32))


@pytest.mark.parametrize("largest", [True, False])
def test_many_objects_take_no_more_memory_than_one(largest: bool) -> None:
    """Each new one is computed once, also beside hundreds, and tidied as on the whole slice."""
    shape = (400, 400)
    post = PostProcessing(largest_component=largest, fill_holes=True)
    predictor = Drawn(shape)
    answerer = Answerer(predictor)  # type: ignore[arg-type]
    embedding = SimpleNamespace(key="k", slice_shape=shape)
    boxes = [Prompt(Box(x, y, x + 7, y + 7)) for x in range(1, 390, 20) for y in range(1, 390, 20)]
    expected = np.zeros(shape, bool)
    for box in boxes:
        expected |= post(predictor.predict(None, box_xyxy=box.box_xyxy).masks[0])
    predictor.predicted = 0
    tracemalloc.start()
    try:
        answer = answerer(embedding, boxes, post=post)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(answer.masks, expected[None])
    assert predictor.predicted == len(boxes) == 400
    assert peak < 40 * expected.nbytes, "400 masks of the slice's size are none too few"
    answerer(embedding, [*boxes, Prompt(Box(12, 12, 18, 18))])  # type: ignore[arg-type]
    assert predictor.predicted == 401


def test_an_empty_mask_among_others() -> None:
    predictor = Drawn((20, 20))
    predictor.predict = lambda *_, **__: Candidates(  # type: ignore[method-assign]
        np.zeros((1, 20, 20), bool), np.zeros(1, np.float32), np.zeros((1, 4, 4), np.float32)
    )
    embedding = SimpleNamespace(key="k", slice_shape=(20, 20))
    post = PostProcessing(largest_component=True, fill_holes=True)
    answer = Answerer(predictor)(embedding, [LEFT], post=post)  # type: ignore[arg-type]
    assert not answer.masks.any()

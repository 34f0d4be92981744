"""The predictor's contract, on the starter: shapes, refinement, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri import EmbeddingCache, Predictor, load_predictor
from napari_samri.errors import InputError, InputWarning, ModelError
from napari_samri.models.catalogue import BEST
from napari_samri.segment.masks import PostProcessing

if TYPE_CHECKING:
    from napari_samri import Embedding

SHAPE = (120, 90)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = ((rows - 60) / 30) ** 2 + ((columns - 40) / 18) ** 2 < 1
    return 100 * inside + np.random.default_rng(0).normal(0, 8, SHAPE)


@pytest.fixture(scope="module")
def embedding(starter: Predictor, image: np.ndarray) -> Embedding:
    return starter.embed(image)


def test_embedding(embedding: Embedding) -> None:
    assert embedding.features["image"].shape == (96, 64, 64)
    assert embedding.features["image"].dtype == np.float32
    assert embedding.slice_shape == SHAPE
    with pytest.raises(ValueError, match="read-only"):
        embedding.features["image"][0, 0, 0] = 1


@pytest.mark.parametrize("multimask", [False, True])
def test_answers(starter: Predictor, embedding: Embedding, multimask: bool) -> None:
    answer = starter.predict(embedding, box_xyxy=[20, 28, 60, 92], multimask=multimask)
    count = 3 if multimask else 1
    assert answer.masks.shape == (count, *SHAPE)
    assert answer.masks.dtype == bool
    assert answer.scores.shape == (count,)
    assert answer.logits.shape == (count, 256, 256)
    assert answer.scores[answer.best] == answer.scores.max()


def test_units_and_dtype_do_not_matter(starter: Predictor, image: np.ndarray) -> None:
    integers = np.rint(image * 10).astype(np.int32)
    first = starter.embed(integers)
    assert starter.embed(integers.astype(np.float64) * 4 + 3).key == first.key
    assert starter.embed(integers[:, ::-1]).key != first.key


def test_a_mask_prompt_changes_the_answer(starter: Predictor, embedding: Embedding) -> None:
    box = [20, 28, 60, 92]
    first = starter.predict(embedding, box_xyxy=box)
    refined = starter.predict(embedding, box_xyxy=box, mask_logits=first.logits)
    assert not np.allclose(first.logits, refined.logits)
    as_2d = starter.predict(embedding, box_xyxy=box, mask_logits=first.logits[0])
    np.testing.assert_array_equal(as_2d.logits, refined.logits)
    redrawn = starter.mask_to_logits(embedding, first.masks[0])
    alone = starter.predict(embedding, mask_logits=redrawn)
    assert alone.masks.shape == (1, *SHAPE)


def test_points_default_to_positive(starter: Predictor, embedding: Embedding) -> None:
    point = [[40, 60]]
    one = starter.predict(embedding, points_xy=point, point_labels=[1])
    other = starter.predict(embedding, points_xy=point)
    np.testing.assert_array_equal(one.logits, other.logits)
    negative = starter.predict(embedding, points_xy=[*point, [42, 62]], point_labels=[1, 0])
    assert not np.allclose(negative.logits, one.logits)


def test_points_are_warned_of_where_a_model_never_saw_any(
    starter: Predictor, embedding: Embedding
) -> None:
    model = starter._model
    boxes_only = Predictor(
        replace(model, spec=replace(model.spec, takes_points=False)), starter.cache
    )
    box = [20, 28, 60, 92]
    boxes_only.predict(embedding, box_xyxy=box)  # warnings are errors
    for prompt in ({"points_xy": [[40, 60]]}, {"points_xy": [[40, 60]], "box_xyxy": box}):
        with pytest.warns(InputWarning, match="Starter was trained with boxes only"):
            boxes_only.predict(embedding, **prompt)


def choosing(predictor: Predictor) -> Predictor:
    """Return the predictor of a model that was trained to choose of three for a lone point."""
    model = predictor._model
    spec = replace(model.spec, lone_point=BEST)
    return Predictor(replace(model, spec=spec), predictor.cache)


def test_a_lone_point_gets_the_mask_that_its_model_was_trained_for(
    starter: Predictor, embedding: Embedding
) -> None:
    point = {"points_xy": [[40, 60]]}
    three = starter.predict(embedding, **point, multimask=True)
    single = starter.predict(embedding, **point)
    best = choosing(starter).predict(embedding, **point)
    np.testing.assert_array_equal(best.masks, three.masks[[three.best]])
    np.testing.assert_allclose(best.scores, three.scores[[three.best]], rtol=1e-4)
    np.testing.assert_allclose(best.logits, three.logits[[three.best]], rtol=1e-4, atol=1e-4)
    assert not np.array_equal(best.logits, single.logits)


@pytest.mark.parametrize(
    "prompt",
    [
        {"points_xy": [[40, 60]], "box_xyxy": [20, 28, 60, 92]},
        {"points_xy": [[40, 60], [42, 70]]},
        {"points_xy": [[40, 60]], "point_labels": [0]},
        {"points_xy": [[40, 60]], "multimask": True},
        {"box_xyxy": [20, 28, 60, 92]},
    ],
    ids=["box and point", "two points", "off the object", "three asked for", "box"],
)
def test_only_a_lone_point_is_ambiguous(
    starter: Predictor, embedding: Embedding, prompt: dict[str, Any]
) -> None:
    expected = starter.predict(embedding, **prompt)
    np.testing.assert_array_equal(
        choosing(starter).predict(embedding, **prompt).logits, expected.logits
    )


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ({}, "prompt is empty"),
        ({"point_labels": [1]}, "without points_xy"),
        ({"points_xy": []}, r"shape \(0,\)"),
        ({"points_xy": [[1, 2, 3]]}, r"expected \(N, 2\)"),
        ({"points_xy": [[90.5, 10]]}, "outside the slice; expected x in 0 to 89"),
        ({"points_xy": [[-1, 10]]}, "outside the slice"),
        ({"points_xy": [[np.nan, 10]]}, "not finite"),
        ({"points_xy": [[5, 5]], "point_labels": [2]}, "expected 1 values, 1 or 0"),
        ({"points_xy": [[5, 5]], "point_labels": [1, 1]}, "expected 1 values"),
        ({"points_xy": [["5", "5"]]}, "expected numbers"),
        ({"box_xyxy": "abcd"}, "expected numbers"),
        ({"box_xyxy": [10, 10, 10, 20]}, "has no size"),
        ({"box_xyxy": [30, 10, 20, 20]}, "has no size"),
        ({"box_xyxy": [10, 10, 200, 20]}, "reaches outside the slice"),
        ({"box_xyxy": [10, 10, 20]}, "has 3 numbers; expected 4"),
        ({"mask_logits": np.zeros((1, 64, 64))}, r"expected finite logits of shape \(1, 256"),
        ({"mask_logits": np.full((256, 256), np.nan)}, "expected finite logits"),
    ],
)
def test_bad_prompts(
    starter: Predictor, embedding: Embedding, prompt: dict[str, Any], found: str
) -> None:
    with pytest.raises(InputError, match=found):
        starter.predict(embedding, **prompt)


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (np.zeros((4, 4, 3)), r"shape is \(4, 4, 3\); expected two axes"),
        (np.zeros(4), "expected two axes"),
        (np.zeros((0, 4)), "expected two axes"),
        (np.zeros((4, 4)), "constant"),
        (np.full((4, 4), np.nan), "constant"),
        (np.ones((4, 4), complex), "expected real grey values"),
    ],
)
def test_bad_slices(starter: Predictor, bad: np.ndarray, found: str) -> None:
    with pytest.raises(InputError, match=found):
        starter.embed(bad)


def test_masks_of_another_shape(starter: Predictor, embedding: Embedding) -> None:
    with pytest.raises(InputError, match="mask's shape"):
        starter.mask_to_logits(embedding, np.zeros((4, 4), bool))


def test_embeddings_of_another_encoder(starter: Predictor, embedding: Embedding) -> None:
    from dataclasses import replace

    with pytest.raises(ModelError, match="made by another encoder"):
        starter.predict(replace(embedding, encoder="0" * 64), box_xyxy=[1, 1, 5, 5])


def test_embeddings_outlive_the_process(
    tmp_path: Any, starter: Predictor, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second predictor on the same folder encodes nothing, and answers alike."""
    first = load_predictor(device="cpu", cache=tmp_path)
    box = [20, 28, 60, 92]
    expected = first.predict(first.embed(image), box_xyxy=box).masks
    second = load_predictor(device="cpu", cache=tmp_path)
    monkeypatch.setattr("napari_samri.segment.predictor.encode", None)
    found = second.predict(second.embed(image), box_xyxy=box).masks
    assert (found != expected).mean() < 1e-3
    del starter


def test_memory_only(starter: Predictor) -> None:
    assert starter.cache.disk is None
    assert isinstance(starter.cache, EmbeddingCache)


def test_post_processing_is_off_by_default() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:6, 1:6] = True
    mask[3, 3] = mask[8, 8] = False
    mask[8, 7] = True
    assert PostProcessing()(mask) is mask

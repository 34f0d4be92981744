"""Prompts, the decoder behind them, and the losses of a step, against SAM's own prompt encoder."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_samri.errors import InputError
from napari_samri.models import Layout, LoadedModel, PromptBatch, load_model
from napari_samri.models.sam1 import Sam1Network
from napari_samri.training.objective import (
    MEDICOSAM,
    OBJECTIVES,
    SAMRI_BOX,
    Objective,
    find_objective,
)
from napari_samri.training.step import Samples, first_prompts, numbers_needed, rounds
from napari_samri.training.validate import plain_answers
from tests.tiny import random_tiny


@pytest.mark.parametrize(
    "objective",
    [*OBJECTIVES.values(), find_objective("samri-box", code_compat=True)],
    ids=lambda objective: f"{objective.name}-{objective.focal:g}",
)
def test_no_box_misses_its_object(objective: Objective) -> None:
    truth = torch.zeros(1, 256, 256, dtype=torch.bool)
    truth[0, 100:104, 100:104] = True
    many = Samples(
        {"image": torch.zeros(1, 4, 4, 4)},
        torch.zeros(500, dtype=torch.long),
        truth.expand(500, -1, -1),
        torch.rand(500, 6, generator=torch.Generator().manual_seed(0)),
    )
    prompts = first_prompts(many, replace(objective, p_box=1), SAME)
    low, high = (
        prompts.points_input[prompts.labels == corner].reshape(500, 2) for corner in (2, 3)
    )
    assert (low <= 100).all()
    assert (high >= 103).all()


# A layout whose input is the low-resolution frame itself.
SAME = Layout(input_size=256, low_res_size=256, features={})


@cache
def tiny_model() -> LoadedModel:
    from napari_samri.models import find_model
    from napari_samri.models.preprocessing import SAM

    return LoadedModel(
        find_model("sam-vit-b"),
        Sam1Network.of(random_tiny(input_size=256)),
        SAM,
        "tiny",
        torch.device("cpu"),
    )


@cache
def starter_model() -> LoadedModel:
    return load_model("starter", "cpu")


def low_res(model: LoadedModel) -> int:
    return model.network.layout.low_res_size


def embeddings_of(model: LoadedModel, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *model.network.layout.features["image"], generator=generator)


def by_hand(
    model: LoadedModel, embedding: torch.Tensor, **given: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Answer one prompt with SAM's own modules, called as its predictor does."""
    network = model.network
    sparse, dense = network.prompt_encoder(
        points=given.get("points"), boxes=given.get("boxes"), masks=given.get("masks")
    )
    return network.mask_decoder(
        image_embeddings=embedding[None],
        image_pe=network.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=given.get("multimask", False),
    )


@torch.no_grad()
def test_prompts_of_all_kinds_in_one_batch_are_those_of_sam() -> None:
    model = tiny_model()
    network, size = model.network, low_res(model)
    embeddings = embeddings_of(model, 2)
    scale = network.layout.input_size / size
    mask = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
    points = torch.tensor([[[3.0, 4], [20, 30]], [[7, 9], [0, 0]], [[5, 6], [9, 12]]])
    labels = torch.tensor([[2.0, 3], [1, -1], [2, 3]])
    has_mask = torch.tensor([False, False, True])
    masks = torch.zeros(3, 1, size, size)
    masks[2] = mask[0]
    prompts = PromptBatch(network.layout.low_res_to_input(points, labels), labels, masks, has_mask)
    logits, scores = network.decode({"image": embeddings}, prompts, image=torch.tensor([0, 0, 1]))

    def box(x0: float, y0: float, x1: float, y1: float) -> torch.Tensor:
        corners = [x0 * scale, y0 * scale, (x1 + 1) * scale - 1, (y1 + 1) * scale - 1]
        return torch.tensor([corners])

    place = torch.tensor([[[(7.5) * scale - 0.5, 9.5 * scale - 0.5]]])
    lone = (place, torch.ones(1, 1))
    expected = [
        by_hand(model, embeddings[0], boxes=box(3, 4, 20, 30)),
        by_hand(model, embeddings[0], points=lone),
        by_hand(model, embeddings[1], boxes=box(5, 6, 9, 12), masks=mask),
    ]
    for number, (answer, score) in enumerate(expected):
        torch.testing.assert_close(logits[number, :1], answer[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(scores[number, :1], score[0], rtol=1e-4, atol=1e-4)
    candidates, _ = by_hand(model, embeddings[0], points=lone, multimask=True)
    torch.testing.assert_close(logits[1, 1:], candidates[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("with_point", [False, True])
def test_the_starter_answers_in_training_as_it_does_in_the_viewer(with_point: bool) -> None:
    from napari_samri import EmbeddingCache
    from napari_samri.embeddings import Embedding
    from napari_samri.segment.predictor import Predictor

    model = starter_model()
    predictor = Predictor(model, EmbeddingCache())
    tensor = embeddings_of(model, 1)
    embedding = Embedding(
        {"image": tensor[0].numpy()},
        (256, 256),
        predictor.encoder,
        model.preprocessing.identity,
        "key",
    )
    box = [40, 50, 120, 90]
    answer = predictor.predict(
        embedding, box_xyxy=box, points_xy=[[60, 70]] if with_point else None
    )
    # Beside a prompt of another kind, on another image.
    points = torch.tensor([[[40.0, 50], [120, 90]], [[9, 9], [0, 0]]])
    labels = torch.tensor([[2.0, 3], [1, -1]])
    if with_point:
        points = torch.cat([torch.tensor([[[60.0, 70]], [[20, 20]]]), points], dim=1)
        labels = torch.cat([torch.ones(2, 1), labels], dim=1)
    prompts = PromptBatch(points, labels, None, torch.zeros(2, dtype=torch.bool))
    features = {"image": torch.cat([tensor, tensor.flip(1)])}
    logits, _ = model.network.decode(features, prompts)
    np.testing.assert_allclose(logits[0, :1].numpy(), answer.logits, rtol=1e-3, atol=1e-3)


def samples(model: LoadedModel, count: int = 4, seed: int = 0) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    size = low_res(model)
    truth = torch.zeros(count, size, size, dtype=torch.bool)
    for number in range(count):
        x, y = torch.randint(2, size - 20, (2,), generator=generator).tolist()
        truth[number, y : y + 6 + number, x : x + 12] = True
    return Samples(
        {"image": embeddings_of(model, 2)},
        torch.arange(count) % 2,
        truth,
        torch.rand(count, numbers_needed(8), generator=generator),
    )


def gradient(model: LoadedModel, objective: Any, chosen: Samples, total: int) -> torch.Tensor:
    decoder = model.network.trainable.requires_grad_(True)
    decoder.zero_grad()
    for loss in rounds(model.network, chosen, objective):
        (loss.sum() / total).backward()
    grads = [p.grad for p in decoder.parameters() if p.grad is not None]
    return torch.cat([grad.flatten() for grad in grads])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_sample_learns_the_same_alone_and_in_a_batch(name: str) -> None:
    model = tiny_model()
    objective = replace(OBJECTIVES[name], n_steps=min(2, OBJECTIVES[name].n_steps))
    every = samples(model)
    whole = gradient(model, objective, every, 4)
    parts = []
    for picked in ([0], [1, 3], [2]):
        part = Samples(
            every.features, every.image[picked], every.truth[picked], every.numbers[picked]
        )
        parts.append(gradient(model, objective, part, 4))
    torch.testing.assert_close(sum(parts), whole, rtol=1e-3, atol=1e-6)
    assert whole.abs().max() > 0


def test_both_kinds_of_first_prompt_come_in_their_share() -> None:
    model = tiny_model()
    one = samples(model, 1)
    many = Samples(
        one.features,
        one.image.expand(2000),
        one.truth.expand(2000, -1, -1),
        torch.rand(2000, 6, generator=torch.Generator().manual_seed(0)),
    )
    boxes = (first_prompts(many, OBJECTIVES["simple"], SAME).labels == 2).any(dim=1)
    assert 0.45 < boxes.float().mean() < 0.55
    assert (first_prompts(many, SAMRI_BOX, SAME).labels == 2).any(dim=1).all()
    both = first_prompts(many, OBJECTIVES["samri-bp"], SAME).labels
    assert ((both == 1).sum(dim=1) == 1).all()
    assert ((both == 2).sum(dim=1) == 1).all()


def test_each_correction_adds_a_point_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    seen, decode = [], Sam1Network.decode

    def watched(network: Sam1Network, features: Any, prompts: PromptBatch, **options: Any) -> Any:
        seen.append(prompts)
        return decode(network, features, prompts, **options)

    monkeypatch.setattr(Sam1Network, "decode", watched)
    losses = list(rounds(model.network, samples(model), MEDICOSAM))
    assert len(losses) == 9
    assert [prompt.labels.shape[1] for prompt in seen] == [2 + 2 * n for n in range(9)]
    shares = torch.stack([prompt.has_mask.float().mean() for prompt in seen[1:]])
    assert not seen[0].has_mask.any()
    assert 0.2 < shares.mean() < 0.8


@settings(max_examples=10)
@given(st.sampled_from(["samri-box", "samri-bp"]))
def test_the_published_code_differs_from_the_paper(name: str) -> None:
    paper, code = find_objective(name), find_objective(name, code_compat=True)
    assert (paper.focal, code.focal) == (20, 10)
    assert (paper.jitter, code.jitter) == (5, 10)
    assert paper.jitter_from == code.jitter_from == 20
    assert code.central_point


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of samri-box"):
        find_objective("sam")
    with pytest.raises(InputError, match="one form only"):
        find_objective("medsam", code_compat=True)
    with pytest.raises(InputError, match="probabilities"):
        replace(SAMRI_BOX, p_box=1.5)


def test_validation_counts_the_masks_after_each_correction() -> None:
    model = tiny_model()
    network, some = model.network, samples(model)
    objective = replace(MEDICOSAM, n_steps=2)
    first = plain_answers(network, some, objective)
    every = plain_answers(network, some, objective, 2)
    assert [len(first), len(every)] == [1, 3]
    assert torch.equal(first[0], every[0])
    assert not torch.equal(every[1], every[2])

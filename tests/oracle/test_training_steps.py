"""One training step of each published method: loss and gradient, computed anew.

With the SAM library's own modules, one object at a time, and MONAI's losses (torch_em's formula
for MedicoSAM), from the same weights, masks and uniform numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_samri.models.sam1 import Sam1Network
from napari_samri.training import TrainConfig
from napari_samri.training.objective import Objective, find_objective
from napari_samri.training.optimise import Optimiser
from napari_samri.training.ranks import Ranks
from napari_samri.training.step import FIRST_NUMBERS, STEP_NUMBERS, Samples, numbers_needed, rounds
from tests.tiny import random_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from segment_anything.modeling import Sam

    Mask = NDArray[np.bool_]

SIZE = 64  # of masks, of an input of 256
SCALE = 4


@pytest.fixture(scope="module")
def sam() -> Sam:
    return random_tiny(3, input_size=4 * SIZE)


def samples() -> Samples:
    """Return objects of all sizes: 3, 8, 30 and 40 pixels long, and one of two pieces."""
    truth = torch.zeros(5, SIZE, SIZE, dtype=torch.bool)
    for number, (x, y, w, h) in enumerate(
        [(50, 5, 3, 3), (2, 40, 8, 4), (20, 10, 30, 24), (10, 12, 40, 45), (5, 5, 6, 9)]
    ):
        truth[number, y : y + h, x : x + w] = True
    truth[2, 12:20, 30:40] = False
    truth[4, 40:44, 30:60] = True
    generator = torch.Generator().manual_seed(5)
    return Samples(
        {"image": torch.randn(2, 32, 16, 16, generator=generator)},
        torch.tensor([0, 1, 0, 1, 1]),
        truth,
        torch.rand(5, numbers_needed(2), generator=generator),
    )


def embedding_of(chosen: Samples, at: int) -> torch.Tensor:
    return chosen.features["image"][chosen.image[at]]


def gradient(sam: Sam) -> torch.Tensor:
    """Return that of all tensors in one; what had no part in the loss has none."""
    every = sam.mask_decoder.parameters()
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in every])


def ours(sam: Sam, objective: Objective, chosen: Samples) -> tuple[float, torch.Tensor]:
    loss = sum(each.mean() for each in rounds(Sam1Network.of(sam), chosen, objective))
    sam.zero_grad()
    loss.backward()
    return float(loss), gradient(sam)


# The oracle: prompts by numpy, one object at a time.


def tight(mask: Mask) -> list[float]:
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max(), rows.max()]


def jittered(mask: Mask, numbers: list[float], reach: float) -> list[float]:
    """SAMRI: sides evenly in or out, along axes where the object is longer than 20."""
    box = tight(mask)
    for low in (0, 1):
        if box[low + 2] - box[low] + 1 > 20:
            moved = [box[at] + reach * (2 * numbers[at] - 1) for at in (low, low + 2)]
            box[low], box[low + 2] = sorted(min(max(m, 0), SIZE - 1) for m in moved)
    return box


def outwards(mask: Mask, out: list[float]) -> list[float]:
    x0, y0, x1, y1 = tight(mask)
    found = [x0 - out[0], y0 - out[1], x1 + out[2], y1 + out[3]]
    return [min(max(side, 0), SIZE - 1) for side in found]


def pixel_at(mask: Mask, share: float) -> list[float]:
    rows, columns = np.nonzero(mask)
    at = int(share * len(rows))
    return [columns[at], rows[at]]


def to_input(points: list[list[float]]) -> torch.Tensor:
    """Centres of low-resolution pixels in pixels of the input."""
    return torch.tensor([points], dtype=torch.float32) * SCALE + (SCALE - 1) / 2


def answer(sam: Sam, embedding: torch.Tensor, **prompt: Any) -> tuple[torch.Tensor, torch.Tensor]:
    box = prompt.get("box")
    points = prompt.get("points") or []
    with torch.no_grad():
        sparse, dense = sam.prompt_encoder(
            points=(to_input([p for p, _ in points]), torch.tensor([[k for _, k in points]]))
            if points
            else None,
            # From the first to the last pixel of the input that it covers.
            boxes=torch.tensor(
                [[side * SCALE + (SCALE - 1) * (at > 1) for at, side in enumerate(box)]]
            )
            if box
            else None,
            masks=prompt.get("masks"),
        )
    return sam.mask_decoder(
        image_embeddings=embedding[None],
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=prompt.get("multimask", False),
    )


@pytest.mark.filterwarnings("ignore")  # of what MONAI imports
@pytest.mark.parametrize("with_point", [False, True])
@pytest.mark.parametrize("code", [False, True])
def test_a_step_of_samri(sam: Sam, with_point: bool, code: bool) -> None:
    losses = pytest.importorskip("monai.losses")
    chosen = samples()
    name = "samri-bp" if with_point else "samri-box"
    dice = losses.DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5)
    focal = losses.FocalLoss(gamma=2.0)
    total = torch.zeros(())
    for at, truth in enumerate(chosen.truth.numpy()):
        numbers = chosen.numbers[at].tolist()
        share = 0.45 + 0.1 * numbers[4] if code else numbers[4]
        points = [(pixel_at(truth, share), 1)] if with_point else []
        box = jittered(truth, numbers, 10 if code else 5)
        logits, _ = answer(sam, embedding_of(chosen, at), box=box, points=points)
        target = chosen.truth[at].float()[None, None]
        total = total + (10 if code else 20) * focal(logits, target) + dice(logits, target)
    assert_same(sam, total / 5, ours(sam, find_objective(name, code_compat=code), chosen))


@pytest.mark.filterwarnings("ignore")
def test_a_step_of_medsam(sam: Sam) -> None:
    losses = pytest.importorskip("monai.losses")
    chosen = samples()
    dice = losses.DiceLoss(sigmoid=True, squared_pred=True)
    entropy = torch.nn.BCEWithLogitsLoss()
    total = torch.zeros(())
    for at, truth in enumerate(chosen.truth.numpy()):
        out = [int(21 * number) for number in chosen.numbers[at, :4].tolist()]
        logits, _ = answer(sam, embedding_of(chosen, at), box=outwards(truth, out))
        target = chosen.truth[at].float()[None, None]
        total = total + dice(logits, target) + entropy(logits, target)
    assert_same(sam, total / 5, ours(sam, find_objective("medsam"), chosen))


def torch_em_dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    found = logits.sigmoid()
    total = (found * found).sum() + (target * target).sum()
    return 1 - 2 * (found * target).sum() / total.clamp(min=1e-7)


def test_a_step_of_medicosam_with_two_corrections(sam: Sam) -> None:
    objective = replace(find_objective("medicosam"), n_steps=2)
    chosen = samples()
    total = torch.zeros(())
    kinds = []
    for at, truth in enumerate(chosen.truth.numpy()):
        total = total + _medicosam(sam, chosen, at, truth, kinds) / 3
    assert set(kinds) == {"box", "point", "mask", "no mask"}  # else less is tested than is said
    assert_same(sam, total / 5, ours(sam, objective, chosen))


def _medicosam(sam: Sam, chosen: Samples, at: int, truth: Mask, kinds: list[str]) -> torch.Tensor:
    numbers = chosen.numbers[at].tolist()
    embedding, target = embedding_of(chosen, at), chosen.truth[at].float()
    prompt: dict[str, Any] = {"points": []}
    kinds.append("box" if numbers[5] < 0.5 else "point")
    if numbers[5] < 0.5:
        x0, y0, x1, y1 = tight(truth)
        sides = [x1 - x0 + 1, y1 - y0 + 1] * 2
        prompt["box"] = outwards(
            truth, [0.025 * s * u for s, u in zip(sides, numbers, strict=False)]
        )
    else:
        prompt |= {"points": [(pixel_at(truth, numbers[4]), 1)], "multimask": True}
    total = torch.zeros(())
    for step in range(3):
        logits, scores = answer(sam, embedding, **prompt)
        best = int(scores[0].argmax())  # of a lone point three, else there is only one
        mask, score = logits[0, best], scores[0, best]
        found = mask.detach().numpy() > 0
        iou = (found & truth).sum() / (found | truth).sum()
        total = total + torch_em_dice(mask, target) + (score - float(iou)) ** 2
        if step < 2:
            own = numbers[FIRST_NUMBERS + step * STEP_NUMBERS :]
            prompt["multimask"] = False
            prompt["points"] = _corrected(prompt["points"], found, truth, own)
            prompt["masks"] = mask.detach()[None, None] if own[2] < 0.5 else None
            kinds.append("mask" if own[2] < 0.5 else "no mask")
    return total


def _corrected(points: list[Any], found: Mask, truth: Mask, numbers: list[float]) -> list[Any]:
    """A point where the answer misses the object, and one where it spills."""
    missed = truth & ~found
    x0, y0, x1, y1 = (int(side) for side in tight(truth))
    near = np.zeros_like(truth)
    near[max(0, y0 - 3) : y1 + 4, max(0, x0 - 3) : x1 + 4] = True
    spilled = found & ~truth
    positive = pixel_at(missed if missed.any() else truth, numbers[0])
    negative = pixel_at(spilled if spilled.any() else near & ~truth, numbers[1])
    return [*points, (positive, 1), (negative, 0)]


def assert_same(sam: Sam, loss: torch.Tensor, found: tuple[float, torch.Tensor]) -> None:
    sam.zero_grad()
    loss.backward()
    expected = gradient(sam)
    assert found[0] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found[1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kind", "decay", "rates"),
    [
        ("samri-bp", torch.optim.AdamW, 0.1, (1e-5, 1e-5)),
        ("medsam", torch.optim.Adam, 0.0, (1e-5, 1e-5)),
        ("medicosam", torch.optim.AdamW, 0.01, (1e-5, 0.9e-5)),
    ],
)
def test_optimisers_as_published(
    sam: Sam, name: str, kind: Any, decay: float, rates: tuple[float, float], tmp_path: Path
) -> None:
    config = TrainConfig(bank=tmp_path, out=tmp_path, objective=find_objective(name))
    made = Optimiser(Sam1Network.of(sam), config, Ranks())
    assert type(made.adam) is kind
    assert made.adam.param_groups[0]["weight_decay"] == decay
    for epoch, rate in enumerate(rates):
        made.set_epoch(epoch)
        assert [group["lr"] for group in made.adam.param_groups] == pytest.approx([rate, rate])
    assert config.masks_per_slice == (5 if name == "medicosam" else 4)
    sam.mask_decoder.requires_grad_(True)  # the model is shared

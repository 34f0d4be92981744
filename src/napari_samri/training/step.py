"""One training step, for every objective: prompt, answer, score, correct, and again.

MedicoSAM's Algorithm 1 with the numbers of an `Objective`; those of SAMRI and MedSAM make it a
single round. Prompts are made from answers without gradient, so each round's loss can go
backward by itself, and memory does not grow with the number of rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_samri.models import CORNER_HIGH, CORNER_LOW, PADDING, POSITIVE, PromptBatch, best_where
from napari_samri.simulate import (
    corrections,
    grown_boxes,
    jitter_boxes,
    points_within,
    tight_boxes,
)
from napari_samri.training.losses import dice_loss, focal_loss, mask_iou

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.models import Features, Layout, Network
    from napari_samri.training.objective import Objective

# Uniform numbers per sample for the first prompt, and per correction.
FIRST_NUMBERS = 6
STEP_NUMBERS = 3
_CENTRE, _CENTRE_WIDTH = 0.45, 0.1


def numbers_needed(n_steps: int) -> int:
    """Return how many uniform numbers a sample needs."""
    return FIRST_NUMBERS + n_steps * STEP_NUMBERS


@dataclass(frozen=True, eq=False)
class Samples:
    """Masks to be learned.

    Parameters
    ----------
    features : mapping of str to float tensor (B, C, h, w)
    image : int tensor (N,)
        Which image each mask is on.
    truth : bool tensor (N, L, L)
        None of them empty.
    numbers : float tensor (N, K)
        Uniform in [0, 1): all the chance there is in their prompts.
    boxes : float tensor (N, 4), optional
        Boxes in low-resolution pixels, both ends included, where they are known better than by
        `truth`: from the slice itself.
    """

    features: Features
    image: torch.Tensor
    truth: torch.Tensor
    numbers: torch.Tensor
    boxes: torch.Tensor | None = None


def rounds(network: Network, samples: Samples, objective: Objective) -> Iterator[torch.Tensor]:
    """Yield the loss (N,) of every round, already divided by the number of rounds."""
    target = samples.truth.float()
    for answer, score in answers(network, samples, objective):
        yield _loss(answer, score, target, objective) / (objective.n_steps + 1)


def answers(
    network: Network, samples: Samples, objective: Objective
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the answer (N, L, L), as logits, and its predicted IoU (N,) of every round.

    Of a lone point it is the candidate that predicts the highest IoU, as a viewer would choose.
    """
    layout = network.layout
    prompts = first_prompts(samples, objective, layout)
    for step in range(objective.n_steps + 1):
        logits, scores = network.decode(
            samples.features, prompts, image=samples.image, choose=best_where(prompts.is_lone_point)
        )
        answer = logits[:, 0].float()
        yield answer, scores[:, 0].float()
        if step < objective.n_steps:
            prompts = _corrected(prompts, answer.detach(), samples, objective, layout, step)


def first_prompts(samples: Samples, objective: Objective, layout: Layout) -> PromptBatch:
    """Return the first prompt of each sample: its box, its box and a point, or a point."""
    truth, numbers = samples.truth, samples.numbers
    boxes = _boxes(samples, objective)
    places = numbers[:, 4]
    if objective.central_point:
        places = _CENTRE + _CENTRE_WIDTH * places
    point = points_within(truth, places)
    corners = boxes.reshape(-1, 2, 2)
    corner_labels = boxes.new_tensor([CORNER_LOW, CORNER_HIGH]).expand(len(boxes), 2)
    padded = torch.stack([point, torch.zeros_like(point)], dim=1)
    padded_labels = boxes.new_tensor([POSITIVE, PADDING]).expand(len(boxes), 2)
    with_box = (numbers[:, 5] < objective.p_box)[:, None]
    points = torch.where(with_box[..., None], corners, padded)
    labels = torch.where(with_box, corner_labels, padded_labels)
    if objective.with_point:
        points = torch.cat([point[:, None], points], dim=1)
        labels = torch.cat([labels.new_full((len(labels), 1), POSITIVE), labels], dim=1)
    none = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    return PromptBatch(layout.low_res_to_input(points, labels), labels, None, none)


def _boxes(samples: Samples, objective: Objective) -> torch.Tensor:
    size, numbers = samples.truth.shape[-1], samples.numbers[:, :4]
    boxes = tight_boxes(samples.truth) if samples.boxes is None else samples.boxes
    if objective.outwards or objective.distortion:
        reach = objective.jitter if objective.outwards else 0
        return grown_boxes(boxes, numbers, reach, objective.distortion, size)
    return jitter_boxes(boxes, numbers, objective.jitter, objective.jitter_from, size)


def _corrected(
    prompts: PromptBatch,
    answer: torch.Tensor,
    samples: Samples,
    objective: Objective,
    layout: Layout,
    step: int,
) -> PromptBatch:
    begin = FIRST_NUMBERS + step * STEP_NUMBERS
    numbers = samples.numbers[:, begin : begin + STEP_NUMBERS]
    points, labels = corrections(answer > 0, samples.truth, numbers[:, :2])
    return PromptBatch(
        torch.cat([layout.low_res_to_input(points, labels), prompts.points_input], dim=1),
        torch.cat([labels, prompts.labels], dim=1),
        answer[:, None] if objective.p_mask > 0 else None,
        numbers[:, 2] < objective.p_mask,
    )


def _loss(
    answer: torch.Tensor, score: torch.Tensor, target: torch.Tensor, objective: Objective
) -> torch.Tensor:
    """Return the loss (N,) of answers (N, L, L)."""
    loss = objective.dice * dice_loss(answer, target, objective.smooth)
    if objective.focal:
        loss = loss + objective.focal * focal_loss(answer, target, alpha=-1, gamma=2)
    if objective.entropy:
        entropy = F.binary_cross_entropy_with_logits(answer, target, reduction="none")
        loss = loss + objective.entropy * entropy.mean(dim=(-2, -1))
    if objective.quality:
        loss = loss + objective.quality * (score - mask_iou(answer, target)) ** 2
    return loss

"""One training step, for every objective: prompt, answer, score, correct, and again.

MedicoSAM's Algorithm 1 with the numbers of an `Objective`; those of SAMRI and MedSAM make it a
single round. Prompts are made from answers without gradient, so each round's loss can go
backward by itself, and memory does not grow with the number of rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_samri.simulate import (
    corrections,
    grown_boxes,
    jitter_boxes,
    points_within,
    tight_boxes,
)
from napari_samri.training.decoder import (
    CORNER_HIGH,
    CORNER_LOW,
    PADDING,
    POSITIVE,
    Prompt,
    PromptedDecoder,
)
from napari_samri.training.losses import dice_loss, focal_loss, mask_iou

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    embeddings : float tensor (B, C, h, w)
    image : int tensor (N,)
        Which embedding each mask is on.
    truth : bool tensor (N, L, L)
        None of them empty.
    numbers : float tensor (N, K)
        Uniform in [0, 1): all the chance there is in their prompts.
    boxes : float tensor (N, 4), optional
        Boxes in low-resolution pixels, both ends included, where they are known better than by
        `truth`: from the slice itself.
    """

    embeddings: torch.Tensor
    image: torch.Tensor
    truth: torch.Tensor
    numbers: torch.Tensor
    boxes: torch.Tensor | None = None


def rounds(
    decoder: PromptedDecoder, samples: Samples, objective: Objective
) -> Iterator[torch.Tensor]:
    """Yield the loss (N,) of every round, already divided by the number of rounds."""
    target = samples.truth.float()
    for answer, score in answers(decoder, samples, objective):
        yield _loss(answer, score, target, objective) / (objective.n_steps + 1)


def answers(
    decoder: PromptedDecoder, samples: Samples, objective: Objective
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the answer (N, L, L), as logits, and its predicted IoU (N,) of every round."""
    prompt = first_prompt(samples, objective)
    for step in range(objective.n_steps + 1):
        logits, scores = decoder(
            samples.embeddings, samples.image, prompt, partial(_choose, prompt)
        )
        answer = logits[:, 0].float()
        yield answer, scores[:, 0].float()
        if step < objective.n_steps:
            prompt = _corrected(prompt, answer.detach(), samples, objective, step)


def first_prompt(samples: Samples, objective: Objective) -> Prompt:
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
    return Prompt(points, labels, None, none)


def _boxes(samples: Samples, objective: Objective) -> torch.Tensor:
    size, numbers = samples.truth.shape[-1], samples.numbers[:, :4]
    boxes = tight_boxes(samples.truth) if samples.boxes is None else samples.boxes
    if objective.outwards or objective.distortion:
        reach = objective.jitter if objective.outwards else 0
        return grown_boxes(boxes, numbers, reach, objective.distortion, size)
    return jitter_boxes(boxes, numbers, objective.jitter, objective.jitter_from, size)


def _choose(prompt: Prompt, scores: torch.Tensor) -> torch.Tensor:
    """Return which mask (N,) goes on, by predicted IoUs (N, 4), as a viewer would choose.

    Of a lone point the candidate that predicts the highest IoU, else the single mask.
    """
    ambiguous = (prompt.labels == PADDING).any(dim=1) & ~prompt.has_mask
    ambiguous = ambiguous & ((prompt.labels == POSITIVE).sum(dim=1) == 1)
    ambiguous = ambiguous & (prompt.labels.shape[1] == 2)
    return torch.where(ambiguous, 1 + scores[:, 1:].argmax(dim=1), 0)


def _corrected(
    prompt: Prompt, answer: torch.Tensor, samples: Samples, objective: Objective, step: int
) -> Prompt:
    begin = FIRST_NUMBERS + step * STEP_NUMBERS
    numbers = samples.numbers[:, begin : begin + STEP_NUMBERS]
    points, labels = corrections(answer > 0, samples.truth, numbers[:, :2])
    has_mask = numbers[:, 2] < objective.p_mask
    return Prompt(
        torch.cat([points, prompt.points], dim=1),
        torch.cat([labels, prompt.labels], dim=1),
        answer[:, None] if objective.p_mask > 0 else None,
        has_mask,
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

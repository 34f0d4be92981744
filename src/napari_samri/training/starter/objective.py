"""The starter's training objective: prompts, predictions and corrections of one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_samri.models import PromptBatch
from napari_samri.simulate import (
    box_extents,
    error_points,
    move_sides,
    random_points,
    tight_boxes,
)
from napari_samri.training.losses import dice_loss, focal_loss, mask_iou

if TYPE_CHECKING:
    from napari_samri.models import Features
    from napari_samri.models.starter import StarterNetwork
    from napari_samri.training.starter.affinity import Affinity
    from napari_samri.training.starter.samples import Batch

PointPrompt = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """How a batch is prompted and scored.

    Parameters
    ----------
    box_share, point_share : float
        Shares of the slices whose objects get a box or a point; the rest get both.
    tight_share : float
        Share of boxes left tight; the others are jittered.
    correction_probability : float
        That the answers of a batch are corrected, by a point in each error, with a loss again.
    mask_probability : float
        That a correction also gets the previous logits as mask prompt.
    focal_weight, affinity_weight : float
        Of the focal loss and of the affinity of the embedding, against dice and the squared
        error of the predicted IoU.
    """

    box_share: float = 0.55
    point_share: float = 0.2
    tight_share: float = 0.5
    correction_probability: float = 0.25
    mask_probability: float = 0.5
    focal_weight: float = 10.0
    affinity_weight: float = 0.5


@dataclass
class _Prompts:
    boxes: torch.Tensor | None
    points: PointPrompt | None
    masks: torch.Tensor | None = None

    def add(self, points: PointPrompt) -> None:
        if self.points is None:
            self.points = points
        else:
            self.points = (
                torch.cat([self.points[0], points[0]], dim=1),
                torch.cat([self.points[1], points[1]], dim=1),
            )

    def batch(self) -> PromptBatch:
        points, labels = self.points or (None, None)
        return PromptBatch.of(
            points_input=points, labels=labels, boxes_input=self.boxes, masks=self.masks
        )


def batch_loss(
    network: StarterNetwork,
    affinity: Affinity,
    batch: Batch,
    config: ObjectiveConfig,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the mean loss of a batch over its objects and correction rounds."""
    features = network.encode(batch.images)
    dense = config.affinity_weight * affinity(features["image"], batch.labels)
    count = len(batch.images)
    first = round(config.box_share * count)
    second = first + round(config.point_share * count)
    losses = []
    for kind, part in (
        ("box", slice(0, first)),
        ("point", slice(first, second)),
        ("both", slice(second, count)),
    ):
        truth = batch.targets[part].flatten(0, 1)
        if len(truth):
            prompts = _first_prompts(kind, truth, config, generator)
            own = {name: value[part] for name, value in features.items()}
            losses += _rounds(network, own, truth, prompts, config, generator)
    return torch.cat(losses).mean() + dense


def _first_prompts(
    kind: str, truth: torch.Tensor, config: ObjectiveConfig, generator: torch.Generator
) -> _Prompts:
    boxes = points = None
    if kind != "point":
        tight = tight_boxes(truth)
        reach = (0.1 * box_extents(tight)).clamp(max=10 * truth.shape[-1] / 256)
        numbers = torch.rand(tight.shape, generator=generator).to(tight.device)
        loose = move_sides(tight, numbers, reach)
        keep = torch.rand(len(tight), 1, generator=generator) < config.tight_share
        boxes = torch.where(keep.to(tight.device), tight, loose)
    if kind != "box":
        points = (
            random_points(truth, generator)[:, None],
            torch.ones(len(truth), 1, device=truth.device),
        )
    return _Prompts(boxes, points)


def _rounds(
    network: StarterNetwork,
    features: Features,
    truth: torch.Tensor,
    prompts: _Prompts,
    config: ObjectiveConfig,
    generator: torch.Generator,
) -> list[torch.Tensor]:
    target = truth.float()
    losses = []
    corrected = float(torch.rand((), generator=generator)) < config.correction_probability
    for step in range(2 if corrected else 1):
        logits, scores = network.decode(features, prompts.batch())
        ambiguous = step == 0 and prompts.boxes is None
        heads = slice(1, None) if ambiguous else slice(0, 1)
        each = _loss(logits[:, heads].float(), scores[:, heads].float(), target, config)
        losses.append(each.min(dim=1).values)
        if corrected and step == 0:
            best = scores[:, heads].argmax(dim=1)
            chosen = logits[:, heads][torch.arange(len(truth)), best].detach()
            prompts.add(error_points(chosen > 0, truth, generator))
            keep = torch.rand((), generator=generator) < config.mask_probability
            prompts.masks = chosen[:, None].float() if keep else None
    return losses


def _loss(
    logits: torch.Tensor, scores: torch.Tensor, target: torch.Tensor, config: ObjectiveConfig
) -> torch.Tensor:
    """Return the loss (K, M) of each mask."""
    target = target[:, None].expand_as(logits)
    quality = (scores - mask_iou(logits, target)) ** 2
    # Unweighted classes: with SAM's weight of 0.25, a mask that is not yet sure stays empty.
    focal = focal_loss(logits, target, alpha=-1, gamma=1)
    return config.focal_weight * focal + dice_loss(logits, target) + quality

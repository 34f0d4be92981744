"""Training batches of the starter model: each one a pure function of the seed and its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from napari_samri.models import PIXEL_MEAN, PIXEL_STD
from napari_samri.training.starter.synthetic import label_map, render, sample_targets

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

OUTSIDE = -1  # label of what lies outside the slice


class Batch(NamedTuple):
    """Slices (B, 1, S, S) float32, normalised; targets (B, P, S, S) bool; labels (B, S, S).

    Labels are those of the regions that the slices were rendered from, int16; -1 is padding.
    """

    images: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training at one image size: `steps` batches of `images` slices.

    The difficulty of the slices goes evenly from the first number of `difficulty` to the second.
    """

    size: int
    images: int
    steps: int
    difficulty: tuple[float, float] = (1.0, 1.0)


class SyntheticBatches(Dataset[Batch]):
    """Batch number k of a training plan; the same k gives the same batch on any machine."""

    def __init__(self, stages: tuple[Stage, ...], targets: int, seed: int) -> None:
        self.stages = stages
        self.targets = targets
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> tuple[Stage, float]:
        """Return the stage that a step belongs to, and the difficulty of its slices."""
        for stage in self.stages:
            if step < stage.steps:
                first, last = stage.difficulty
                return stage, first + (last - first) * step / stage.steps
            step -= stage.steps
        message = f"step {step} is past the end of a plan of {len(self)} steps"
        raise IndexError(message)

    def __getitem__(self, step: int) -> Batch:
        """Make batch number `step`."""
        stage, difficulty = self.stage(step)
        rng = np.random.default_rng([self.seed, step])
        samples = [
            draw_sample(rng, stage.size, self.targets, difficulty) for _ in range(stage.images)
        ]
        images, targets, labels = (
            torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True)
        )
        return Batch(images[:, None], targets, labels)


def draw_sample(
    rng: Generator, size: int, targets: int, difficulty: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int16]]:
    """Draw one slice (S, S), normalised, its objects (targets, S, S) and its labels (S, S)."""
    while True:
        labels = label_map(rng, size)
        image = (render(rng, labels, difficulty).astype(np.float32) - PIXEL_MEAN) / PIXEL_STD
        if rng.random() < 0.4:
            _crop(rng, image, labels)
        masks = sample_targets(rng, labels, targets, difficulty)
        if masks is not None:
            return image, masks, labels


def _crop(rng: Generator, image: NDArray[np.float32], labels: NDArray[np.int16]) -> None:
    """Cut one side, as for a slice that is not square: the rest of the frame is padding."""
    size = labels.shape[0]
    keep = int(size * rng.uniform(0.55, 1))
    outside = (slice(keep, None), slice(None))
    if rng.random() < 0.5:
        outside = outside[::-1]
    image[outside] = 0
    labels[outside] = OUTSIDE

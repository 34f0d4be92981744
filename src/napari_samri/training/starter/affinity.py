"""A helper of training: embeddings that tell whether two places belong to one region.

Masks of a few objects teach an encoder little per slice; the regions of a made-up slice are all
known. This head asks for the cosine of two embedded cells to say whether they share a region. It
is not part of the model that is exported.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

# Distances between the cells of a pair, in cells of the embedding (4 pixels of the slice).
OFFSETS = ((0, 1), (1, 0), (0, 3), (3, 0), (3, 3), (0, 8), (8, 0))


class Affinity(nn.Module):
    """Loss of an embedding (B, C, h, w) against the regions of its slices (B, S, S)."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, width, 1)
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(0.5))

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy over pairs, like and unlike ones weighing the same.

        Parameters
        ----------
        embeddings : tensor (B, C, h, w)
        labels : tensor (B, S, S)
            Region of each pixel, negative outside the slice; S is a multiple of h.
        """
        stride = labels.shape[-1] // embeddings.shape[-1]
        regions = labels[:, stride // 2 :: stride, stride // 2 :: stride]
        directions = F.normalize(self.project(embeddings).float(), dim=1)
        losses = []
        for offset in OFFSETS:
            if max(offset) < regions.shape[-1]:
                losses.append(self._pairs(directions, regions, offset))
        return torch.stack(losses).mean()

    def _pairs(
        self, directions: torch.Tensor, regions: torch.Tensor, offset: tuple[int, int]
    ) -> torch.Tensor:
        down, right = offset
        h, w = regions.shape[-2] - down, regions.shape[-1] - right
        cosine = (directions[..., :h, :w] * directions[..., down:, right:]).sum(dim=1)
        first, second = regions[:, :h, :w], regions[:, down:, right:]
        alike = ((first == second) & (first >= 0)).float()
        logits = self.scale * (cosine - self.bias)
        entropy = F.binary_cross_entropy_with_logits(logits, alike, reduction="none")
        like = (entropy * alike).sum() / alike.sum().clamp(min=1)
        unlike = (entropy * (1 - alike)).sum() / (1 - alike).sum().clamp(min=1)
        return 0.5 * (like + unlike)

"""The starter network: SAM's prompt encoder and mask decoder on a small convolutional encoder.

Only the image encoder is ours. The prompt encoder and the mask decoder are the classes of
``segment_anything`` with smaller numbers.

A box comes with what it says before the image is looked at: a soft ellipse that touches its
sides. Given as a mask prompt beside the box itself, it spares a small network the learning of
where boxes are; what is left to learn is how the image differs from the ellipse. The answer to a
box, with or without points beside it, is the sum of both log-odds, of the prior and of what image
and points say for or against it: where edges are faint, an object is more often an ellipse than
not.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import nn
from torch.nn import functional as F

from napari_samri.codec import integer, list_of, parse_json, record
from napari_samri.models.network import CORNER_HIGH, CORNER_LOW, PromptBatch
from napari_samri.models.sam1 import Sam1Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_samri.models.network import Choose, Features

STRIDE = 4
# Bounds of what a file may ask for, before its tensors are looked at: 1 GB of weights at most.
_STAGES = (4, 4)
_COARSEST, _LARGEST_IMAGE = 32, 4096
_WIDEST, _DEEPEST = 768, 16
_STRENGTH = 4.0  # logit of what is certainly inside the ellipse; outside it is the negative


@dataclass(frozen=True, kw_only=True)
class StarterConfig:
    """The numbers that fix the architecture; stored in the header of its weights file.

    Parameters
    ----------
    image_size : int
        Side of the square input in pixels.
    widths, depths : tuple of int
        Channels and residual blocks of the encoder's stages, at strides 4, 8, 16, 32.
    embedding_channels : int
        Channels C of the embedding, of shape (C, image_size / 4, image_size / 4).
    mlp_width, heads : int
        Of the decoder's two-way transformer.
    """

    image_size: int = 256
    widths: tuple[int, ...] = (32, 64, 128, 192)
    depths: tuple[int, ...] = (2, 2, 4, 2)
    embedding_channels: int = 96
    mlp_width: int = 384
    heads: int = 4

    @property
    def grid(self) -> int:
        """Side of the embedding in cells."""
        return self.image_size // STRIDE

    def to_json(self) -> str:
        """Return the configuration as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> StarterConfig:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            If it is damaged, or no network has these numbers.
        """
        sizes = {
            "image_size": integer(_COARSEST, _LARGEST_IMAGE),
            "widths": list_of(integer(1, _WIDEST), *_STAGES),
            "depths": list_of(integer(0, _DEEPEST), *_STAGES),
            "embedding_channels": integer(1, _WIDEST),
            "mlp_width": integer(1, 4 * _WIDEST),
            "heads": integer(1, _WIDEST),
        }
        schema = record(cls._possible, {}, sizes, unknown="refuse")
        return parse_json(text, schema, "the architecture")

    @classmethod
    def _possible(cls, **values: Any) -> StarterConfig:
        found = cls(**values)
        # The decoder's attention works on half of the channels, and the positions are in pairs.
        if found.embedding_channels % (2 * found.heads) or found.image_size % _COARSEST:
            message = (
                f"{found.embedding_channels} channels for {found.heads} heads and an input of "
                f"{found.image_size} pixels; expected multiples of twice the heads and of "
                f"{_COARSEST}"
            )
            raise ValueError(message)
        return found


class ConvNextBlock(nn.Module):
    """A residual block: 7x7 depth-wise convolution, norm, and a two-layer MLP per pixel.

    References
    ----------
    Liu et al., A ConvNet for the 2020s, CVPR 2022, https://doi.org/10.1109/CVPR52688.2022.01167
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = LayerNorm2d(width)
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.reduce = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, width, h, w) to the same shape."""
        return x + self.reduce(F.gelu(self.expand(self.norm(self.spatial(x)))))


class StarterEncoder(nn.Module):
    """Convolutional encoder with a feature pyramid: (B, 1, S, S) -> (B, C, S/4, S/4).

    The last layer is a LayerNorm2d, as in SAM, so that the embedding's values are bounded
    and half precision is enough to store them.
    """

    def __init__(self, config: StarterConfig) -> None:
        super().__init__()
        widths, channels = config.widths, config.embedding_channels
        inputs: Sequence[int] = (1, *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(n_in, n_out, step, stride=step),
                LayerNorm2d(n_out),
                *(ConvNextBlock(n_out) for _ in range(depth)),
            )
            for n_in, n_out, depth, step in zip(
                inputs, widths, config.depths, (STRIDE, 2, 2, 2), strict=True
            )
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)
        self.neck_norm = LayerNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised slices (B, 1, S, S) to embeddings (B, C, S/4, S/4)."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        merged = self.laterals[-1](features[-1])
        for lateral, feature in zip(list(self.laterals)[-2::-1], features[-2::-1], strict=True):
            merged = lateral(feature) + F.interpolate(
                merged, size=feature.shape[-2:], mode="bilinear", align_corners=False
            )
        embedding: torch.Tensor = self.neck_norm(self.smooth(F.gelu(merged)))
        return embedding


class StarterNetwork(Sam1Network):
    """Image encoder, prompt encoder and mask decoder, named as in SAM's own class."""

    def __init__(self, config: StarterConfig) -> None:
        channels, grid = config.embedding_channels, config.grid
        super().__init__(
            image_encoder=StarterEncoder(config),
            prompt_encoder=PromptEncoder(
                embed_dim=channels,
                image_embedding_size=(grid, grid),
                input_image_size=(config.image_size, config.image_size),
                mask_in_chans=16,
            ),
            mask_decoder=MaskDecoder(
                transformer_dim=channels,
                transformer=TwoWayTransformer(
                    depth=2,
                    embedding_dim=channels,
                    num_heads=config.heads,
                    mlp_dim=config.mlp_width,
                ),
                num_multimask_outputs=3,
                iou_head_depth=3,
                iou_head_hidden_dim=channels,
            ),
            channels=1,
        )
        self.config = config

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        *,
        image: torch.Tensor | None = None,
        choose: Choose | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts, boxes without a mask prompt with their ellipse: see `Network.decode`."""
        prompts, added = self._with_ellipses(prompts)
        logits, scores = super().decode(features, prompts, image=image, choose=choose)
        return logits if added is None else logits + added, scores

    def _with_ellipses(self, prompts: PromptBatch) -> tuple[PromptBatch, torch.Tensor | None]:
        """Return prompts with their ellipses, and what is added to the answers (N, 1, L, L)."""
        points, labels, has_mask = prompts.points_input, prompts.labels, prompts.has_mask
        low, high = (labels == CORNER_LOW)[..., None], (labels == CORNER_HIGH)[..., None]
        shown = low.any(dim=1)[:, 0] & ~has_mask
        if not shown.any():
            return prompts, None
        boxes = torch.cat([(points * low).sum(1), (points * high).sum(1)], dim=1)
        ellipses = box_prior(boxes, self.layout.low_res_size)
        wide = shown[:, None, None, None]
        masks = torch.zeros_like(ellipses) if prompts.masks is None else prompts.masks
        given = replace(
            prompts, masks=torch.where(wide, ellipses, masks), has_mask=has_mask | shown
        )
        return given, ellipses * wide


def box_prior(boxes_input: torch.Tensor, size: int) -> torch.Tensor:
    """Return the ellipses of boxes, as mask prompts.

    Parameters
    ----------
    boxes_input : tensor (K, 4)
        x0, y0, x1, y1 in pixels of the model's input, first and last pixel of the object.
    size : int
        Side of the input, which is also that of mask prompts.

    Returns
    -------
    tensor (K, 1, size, size)
        Logits from -4 to 4, 0 on the ellipse.
    """
    axis = torch.arange(size, device=boxes_input.device, dtype=boxes_input.dtype)
    x0, y0, x1, y1 = (side[:, None] for side in boxes_input.unbind(-1))
    across = (axis - (x0 + x1) / 2) / ((x1 - x0 + 1) / 2)
    down = (axis - (y0 + y1) / 2) / ((y1 - y0 + 1) / 2)
    radius = (across[:, None, :] ** 2 + down[:, :, None] ** 2).sqrt()
    return (_STRENGTH * torch.tanh(2 * (1 - radius)))[:, None]


def resize_network(network: StarterNetwork, image_size: int) -> None:
    """Let a network take square inputs of another size, in place.

    The encoder is convolutional and the positional encoding is relative to the image, so
    the same weights serve every size: training starts on small images, where a step is
    up to 16 times cheaper.
    """
    grid = image_size // STRIDE
    network.prompt_encoder.input_image_size = (image_size, image_size)
    network.prompt_encoder.image_embedding_size = (grid, grid)
    network.prompt_encoder.mask_input_size = (image_size, image_size)

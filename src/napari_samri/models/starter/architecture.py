"""The starter network: SAM's prompt encoder and mask decoder on a small convolutional encoder.

Only the image encoder is ours. The prompt encoder and the mask decoder are the classes of
``segment_anything`` with smaller numbers, so that predictor, embedding cache and decoder
fine-tuning treat the starter like any other model of the SAM family.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import nn
from torch.nn import functional as F

from napari_samri.codec import integer, list_of, parse_json, record

if TYPE_CHECKING:
    from collections.abc import Sequence

STRIDE = 4
# Bounds of what a file may ask for, before its tensors are looked at: 1 GB of weights at most.
_STAGES = (4, 4)
_COARSEST, _LARGEST_IMAGE = 32, 4096
_WIDEST, _DEEPEST = 768, 16
# Of uint8 slices, for normalising; the padding around a slice is 0 afterwards, as in SAM.
PIXEL_MEAN, PIXEL_STD = 75.0, 60.0


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
        self.img_size = config.image_size
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


class StarterNetwork(nn.Module):
    """Image encoder, prompt encoder and mask decoder, named as in SAM's own class."""

    mask_threshold = 0.0

    def __init__(self, config: StarterConfig) -> None:
        super().__init__()
        self.config = config
        channels, grid = config.embedding_channels, config.grid
        self.image_encoder = StarterEncoder(config)
        self.prompt_encoder = PromptEncoder(
            embed_dim=channels,
            image_embedding_size=(grid, grid),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
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
        )


def resize_network(network: StarterNetwork, image_size: int) -> None:
    """Let a network take square inputs of another size, in place.

    The encoder is convolutional and the positional encoding is relative to the image, so
    the same weights serve every size: training starts on small images, where a step is
    up to 16 times cheaper.
    """
    grid = image_size // STRIDE
    network.image_encoder.img_size = image_size
    network.prompt_encoder.input_image_size = (image_size, image_size)
    network.prompt_encoder.image_embedding_size = (grid, grid)
    network.prompt_encoder.mask_input_size = (image_size, image_size)

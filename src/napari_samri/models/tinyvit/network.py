"""MobileSAM and LiteMedSAM: SAM's prompt encoder and mask decoder on a TinyViT."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from napari_samri.models.network import Architecture, fill
from napari_samri.models.sam1 import Sam1Network
from napari_samri.models.tinyvit.encoder import TinyVit, TinyVitConfig

if TYPE_CHECKING:
    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.network import Features, Shapes, Watch

_FIRST = "image_encoder.patch_embed.seq.0.c.weight"
_GRID, _STAGES_DOWN = 64, 4  # cells of the embedding, each 4 x 4 of the first stage's
MOBILE_SAM = TinyVitConfig()
LITE_MEDSAM = TinyVitConfig(patch=1, classes=0)


class TinyVitNetwork(Sam1Network):
    """A TinyViT that answers prompts as SAM does."""

    def encode(self, images: torch.Tensor, watch: Watch | None = None) -> Features:
        """Return ``image``, (B, C, h, w), of inputs (B, 3, S, S)."""
        return {"image": self.image_encoder(images, watch)}


def tiny_vit(config: TinyVitConfig) -> TinyVitNetwork:
    """Make a TinyViT with SAM's prompt encoder and decoder, as published but for `config`."""
    channels, size = config.neck, _GRID * _STAGES_DOWN * config.patch
    prompts = PromptEncoder(
        embed_dim=channels,
        image_embedding_size=(_GRID, _GRID),
        input_image_size=(size, size),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=channels, mlp_dim=2048, num_heads=8),
        transformer_dim=channels,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    return TinyVitNetwork(TinyVit(config), prompts, decoder).eval()


def build_tiny_vit(checkpoint: Checkpoint, config: TinyVitConfig) -> TinyVitNetwork:
    """Build a TinyViT with SAM's decoder from a checkpoint, strictly, in fp32.

    Raises
    ------
    ModelError
        If tensors are missing, left over, or of another shape; the message names them.
    """
    with torch.device("meta"):  # nothing is allocated or initialised
        network = tiny_vit(config)
    fill(network, checkpoint)
    return network


def _begins_with(shapes: Shapes, kernel: int) -> bool:
    return shapes.get(_FIRST, ())[-1:] == (kernel,)


TINY_VITS = (
    Architecture(
        id="mobile_sam",
        title="MobileSAM",
        fits=partial(_begins_with, kernel=3),
        build=partial(build_tiny_vit, config=MOBILE_SAM),
        original="mobilesam",
    ),
    Architecture(
        id="lite_medsam",
        title="LiteMedSAM",
        fits=partial(_begins_with, kernel=1),
        build=partial(build_tiny_vit, config=LITE_MEDSAM),
        family="litemedsam",
        original="litemedsam",
    ),
)

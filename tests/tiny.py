"""A SAM of the library's own classes with few weights, for tests that need no real size."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from napari_samri.models.sam1 import network

if TYPE_CHECKING:
    import pytest

WIDTH, CHANNELS = 16, 32


def build_tiny(checkpoint: None = None, *, input_size: int = 1024) -> Sam:
    """Build SAM with one windowed block of width 16; parts and names are ViT-B's."""
    grid = input_size // 16
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=1,
            embed_dim=WIDTH,
            img_size=input_size,
            mlp_ratio=2,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=2,
            patch_size=16,
            qkv_bias=True,
            use_rel_pos=True,
            window_size=14,
            out_chans=CHANNELS,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=CHANNELS,
            image_embedding_size=(grid, grid),
            input_image_size=(input_size, input_size),
            mask_in_chans=4,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=CHANNELS, mlp_dim=16, num_heads=2),
            transformer_dim=CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=16,
        ),
    ).eval()


def random_tiny(seed: int = 0, *, input_size: int = 1024) -> Sam:
    """Build a tiny SAM with seeded random weights, none of them zero."""
    torch.manual_seed(seed)
    sam = build_tiny(input_size=input_size)
    with torch.no_grad():
        for parameter in sam.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return sam


def tiny_tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return a state_dict of the tiny SAM."""
    return {name: value.clone() for name, value in random_tiny(seed).state_dict().items()}


def with_other_decoder(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a model tuned from another one with its encoder frozen, as SAMRI."""
    return {
        name: value + 0.01 if name.startswith("mask_decoder.") else value.clone()
        for name, value in tensors.items()
    }


def install_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loading code take the tiny network for ViT-B during one test."""
    monkeypatch.setitem(network.VIT_BY_WIDTH, WIDTH, "vit_b")
    monkeypatch.setitem(sam_model_registry, "vit_b", build_tiny)

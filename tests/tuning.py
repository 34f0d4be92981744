"""Cards and files of tuned decoders, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_samri.models.card import Base, DecoderCard
from napari_samri.models.tuned import write_decoder

if TYPE_CHECKING:
    from pathlib import Path

    import torch

FIELDS: dict[str, Any] = {
    "title": "Knee menisci",
    "base": Base(name="sam-vit-b"),
    "architecture": "vit_b",
    "family": "sam",
    "preprocessing": "minmax-u8.longest-1024-pil.imagenet.v1",
    "encoder": "0" * 64,
    "prompt_encoder": "1" * 64,
    "objective": {"name": "samri-bp", "focal": 20.0, "with_point": True},
    "trains_quality": False,
    "bank": "ab12",
    "seed": 3,
    "epochs": 40,
    "samples": 1234,
    "scores": {"dice, validation": 0.87, "dice, zero-shot": None},
    "licence": "Apache-2.0",
    "written_by": "napari-samri 0.1.0",
}


def make_card(**changes: Any) -> DecoderCard:
    return DecoderCard(**FIELDS | changes)


def make_decoder(
    path: Path, tensors: dict[str, torch.Tensor], shift: float = 0.01, **changes: Any
) -> Path:
    """Write a decoder that differs from that of `tensors` by `shift`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_decoder(path, {k: v + shift for k, v in tensors.items()}, make_card(**changes))
    return path

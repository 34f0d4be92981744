"""Which network a checkpoint's tensors fit, told by their names and shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.models.checkpoint import Checkpoint

VIT_BY_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_POSITIONS = "image_encoder.pos_embed"
_TINY_VIT = "image_encoder.patch_embed.seq.0.c.weight"
_PATCHES = "image_encoder.patch_embed.proj.weight"
# Networks that are near to SAM's and cannot be run, by a part of their tensors' names.
_FOREIGN = (
    ("Adapter", "SAM-Med2D (its encoder has adapters)"),
    ("image_encoder.trunk.", "SAM 2 or MedSAM2"),
    ("sam_mask_decoder.", "SAM 2 or MedSAM2"),
    ("image_encoder.backbone.", "SAM 2 (transformers)"),
    ("mask_decoder.hf_", "SAM-HQ (its decoder has a token more)"),
    ("mask_decoder.hq_", "SAM-HQ (its decoder has a token more)"),
    ("lora_", "a SAM with low-rank adapters"),
)
_STARTER = "image_encoder.stages.0.0.weight"


def detect_architecture(checkpoint: Checkpoint) -> str:
    """Return ``vit_b``, ``vit_l``, ``vit_h``, ``starter``, ``mobile_sam`` or ``lite_medsam``.

    Raises
    ------
    ModelError
        If the tensors fit none of these; the message says what they look like.
    """
    shapes = {name: tuple(value.shape) for name, value in checkpoint.tensors.items()}
    for mark, what in _FOREIGN:
        if any(mark in name for name in shapes):
            raise ModelError(_unsupported(checkpoint, what))
    if len(shapes.get(_PATCHES, ())) == 5:
        raise ModelError(_unsupported(checkpoint, "SAM-Med3D (its encoder takes volumes)"))
    if _STARTER in shapes:
        return "starter"
    if _TINY_VIT in shapes:
        return "mobile_sam" if shapes[_TINY_VIT][-1:] == (3,) else "lite_medsam"
    width = next(reversed(shapes.get(_POSITIONS, ())), 0)
    if width in VIT_BY_WIDTH:
        return VIT_BY_WIDTH[width]
    found = f"'{_POSITIONS}' of width {width}" if width else _listed(shapes)
    message = (
        f"{checkpoint.path}: not a checkpoint of a SAM-family model. Found {found}; missing is "
        f"'{_POSITIONS}' of width {', '.join(map(str, VIT_BY_WIDTH))}. Expected SAM ViT-B, -L or "
        "-H, or a model tuned from one of them."
    )
    raise ModelError(message)


def _listed(shapes: Mapping[str, object]) -> str:
    names = sorted(shapes)
    return f"{len(names)} tensors, e.g. {', '.join(names[:3])}"


def _unsupported(checkpoint: Checkpoint, what: str) -> str:
    return (
        f"{checkpoint.path}: looks like {what}, which this version cannot run. Expected SAM "
        "ViT-B, -L or -H, or a model tuned from one of them (SAMRI, MedSAM, MedicoSAM)."
    )

"""Which network a checkpoint's tensors fit, told by their names and shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.errors import ModelError

if TYPE_CHECKING:
    from napari_samri.sam.checkpoint import Checkpoint

VIT_BY_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_POSITIONS = "image_encoder.pos_embed"
_TINY_VIT = "image_encoder.patch_embed.seq.0.c.weight"
_STARTER = "image_encoder.stages.0.0.weight"


def detect_architecture(checkpoint: Checkpoint) -> str:
    """Return ``vit_b``, ``vit_l``, ``vit_h``, ``starter``, ``mobile_sam`` or ``lite_medsam``.

    Raises
    ------
    ModelError
        If the tensors fit none of these; the message says what they look like.
    """
    shapes = {name: tuple(value.shape) for name, value in checkpoint.tensors.items()}
    if any("Adapter" in name for name in shapes):
        raise ModelError(_unsupported(checkpoint, "SAM-Med2D (its encoder has adapters)"))
    if any(name.startswith("image_encoder.trunk.") for name in shapes):
        raise ModelError(_unsupported(checkpoint, "SAM 2 or MedSAM2"))
    if _STARTER in shapes:
        return "starter"
    if _TINY_VIT in shapes:
        return "mobile_sam" if shapes[_TINY_VIT][-1:] == (3,) else "lite_medsam"
    width = next(reversed(shapes.get(_POSITIONS, ())), 0)
    if width in VIT_BY_WIDTH:
        return VIT_BY_WIDTH[width]
    found = f"'{_POSITIONS}' of width {width}" if width else f"e.g. {', '.join([*shapes][:3])}"
    message = (
        f"{checkpoint.path}: not a checkpoint of a SAM-family model (its tensors: {found}). "
        "Expected SAM ViT-B, -L or -H, or a model tuned from one of them."
    )
    raise ModelError(message)


def _unsupported(checkpoint: Checkpoint, what: str) -> str:
    return (
        f"{checkpoint.path}: looks like {what}, which this version cannot run. Expected SAM "
        "ViT-B, -L or -H, or a model tuned from one of them (SAMRI, MedSAM, MedicoSAM)."
    )

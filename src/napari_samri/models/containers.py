"""What programs wrap around a model's tensors: found and taken off, by names alone.

Training programs put the tensors into a dictionary beside their optimiser and their counts, and
wrappers of modules put their own attribute's name before those of the tensors. transformers names
the very tensors of SAM otherwise.

References
----------
Hugging Face, SamModel, https://huggingface.co/docs/transformers/model_doc/sam
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from napari_samri.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

WRAPPERS = ("model", "state_dict", "model_state", "model_state_dict", "net")
# Attributes that hold the model, at the beginning of names; and those of wrappers anywhere.
HOLDERS = ("model", "sam_model", "sam", "net", "network", "_forward_module")
_SHELLS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_SHELL = re.compile(rf"(?<![^.])(?:{'|'.join(_SHELLS)})\.")
_HOLDER = re.compile(rf"^(?:(?:{'|'.join(HOLDERS)})\.)+")
# Buffers of SAM's class, which are no weights: families normalise slices themselves.
_BUFFERS = {"pixel_mean", "pixel_std"}
_DEEPEST = 4
# Of a decoder's own state_dict, whose names do not say whose they are.
_DECODER_WITNESSES = {"iou_token.weight", "mask_tokens.weight"}

_POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
# transformers' names to SAM's, in this order; a name may need several.
_RENAMED = (
    (r"^shared_image_embedding\.positional_embedding$", _POSITIONS),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$", _POSITIONS),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^(image_encoder\.)layers\.", r"\1blocks."),
    (r"^(image_encoder\.patch_embed\.)projection\.", r"\1proj."),
    (r"^(image_encoder\.neck\.)conv1\.", r"\g<1>0."),
    (r"^(image_encoder\.neck\.)layer_norm1\.", r"\g<1>1."),
    (r"^(image_encoder\.neck\.)conv2\.", r"\g<1>2."),
    (r"^(image_encoder\.neck\.)layer_norm2\.", r"\g<1>3."),
    (r"^(prompt_encoder\.)mask_embed\.conv1\.", r"\1mask_downscaling.0."),
    (r"^(prompt_encoder\.)mask_embed\.layer_norm1\.", r"\1mask_downscaling.1."),
    (r"^(prompt_encoder\.)mask_embed\.conv2\.", r"\1mask_downscaling.3."),
    (r"^(prompt_encoder\.)mask_embed\.layer_norm2\.", r"\1mask_downscaling.4."),
    (r"^(prompt_encoder\.)mask_embed\.conv3\.", r"\1mask_downscaling.6."),
    (r"^(prompt_encoder\.)point_embed\.", r"\1point_embeddings."),
    (r"^(mask_decoder\.)upscale_conv1\.", r"\1output_upscaling.0."),
    (r"^(mask_decoder\.)upscale_layer_norm\.", r"\1output_upscaling.1."),
    (r"^(mask_decoder\.)upscale_conv2\.", r"\1output_upscaling.3."),
    # Three layers of a perceptron: the middle one first, whose new name is the first's old one.
    (
        r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+)\.)layers\.0\.",
        r"\1layers.1.",
    ),
    (r"^(mask_decoder\..*\.)proj_in\.", r"\1layers.0."),
    (r"^(mask_decoder\..*\.)proj_out\.", r"\1layers.2."),
    (r"\.layer_norm", ".norm"),
)


def tensors_of(loaded: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a model under SAM's names, whatever is wrapped around them.

    Numbers, texts, lists and dictionaries beside the tensors are a training program's own, and
    are left out.

    Parameters
    ----------
    loaded : object
        As `torch.load` returns it.
    path : Path
        For errors.

    Raises
    ------
    ModelError
        If there are no tensors, or two of them have one name.
    """
    if not isinstance(loaded, Mapping):
        message = f"{path}: holds a {type(loaded).__name__}; expected named tensors."
        raise ModelError(message)
    content = _unwrapped(loaded)
    tensors = {
        str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)
    }
    if not tensors:
        held = ", ".join(f"{name} ({type(value).__name__})" for name, value in content.items())
        message = (
            f"{path}: holds no tensors (found: {held[:300] or 'nothing'}); expected the weights "
            f"of a model, alone or under {', '.join(WRAPPERS)}."
        )
        raise ModelError(message)
    for name, value in tensors.items():
        if not _is_plain(value):
            message = f"{path}: the tensor '{name}' is not a dense real one; refused."
            raise ModelError(message)
    return _renamed(tensors, path)


def _unwrapped(content: Mapping[object, object]) -> Mapping[object, object]:
    """Open wrappers, one in another, as long as there are any with something inside."""
    for _ in range(_DEEPEST):
        inside = [content.get(name) for name in WRAPPERS]
        inner = next((item for item in inside if _holds_tensors(item)), None)
        if not isinstance(inner, Mapping):
            break
        content = inner
    return content


def _holds_tensors(item: object, depth: int = _DEEPEST) -> bool:
    """Tell a model's dictionary from one of settings that happens to have such a name."""
    if isinstance(item, torch.Tensor):
        return True
    if not isinstance(item, Mapping) or depth == 0:
        return False
    return any(_holds_tensors(value, depth - 1) for value in item.values())


def _renamed(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    plain = {name: _bare(name) for name in tensors}
    foreign = any(new.startswith("vision_encoder.") for new in plain.values())
    if foreign:
        plain = {name: _from_transformers(new) for name, new in plain.items()}
    if set(plain.values()) >= _DECODER_WITNESSES:
        plain = {name: f"mask_decoder.{new}" for name, new in plain.items()}
    result: dict[str, torch.Tensor] = {}
    for name, new in plain.items():
        if new in _BUFFERS:
            continue
        if new in result and not _equal(result[new], tensors[name]):
            message = (
                f"{path}: holds the tensor '{new}' twice, the second time as '{name}', with other "
                "values. Expected one model; save the one that is meant alone."
            )
            raise ModelError(message)
        result[new] = tensors[name]
    return result


def _bare(name: str) -> str:
    """Cut off all that wrappers put before a name or into it."""
    return _HOLDER.sub("", _SHELL.sub("", name))


def _from_transformers(name: str) -> str:
    for pattern, new in _RENAMED:
        name = re.sub(pattern, new, name)
    return name


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


def _is_plain(value: torch.Tensor) -> bool:
    """Tell whether a tensor is made of plain numbers, each of which is in the file.

    torch.load allows other kinds, and tensors that repeat a few numbers without end.
    """
    odd = value.is_quantized or value.is_complex() or value.is_nested or value.is_meta
    if odd or value.layout != torch.strided:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()

"""The encoder's hash: equal for equal encoders, whatever the file around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from napari_samri.models.checkpoint import read_checkpoint
from napari_samri.models.loading import load_model
from napari_samri.models.model import encoder_sha256
from tests.tiny import tiny_tensors, with_other_decoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return tiny_tensors()


def encoder_only(tensors: Tensors) -> Tensors:
    return {name: value for name, value in tensors.items() if name.startswith("image_encoder.")}


def transposed_twice(value: torch.Tensor) -> torch.Tensor:
    """Return equal values that lie in memory in another order."""
    return value.mT.contiguous().mT if value.ndim > 1 else value


@pytest.mark.parametrize(
    "change",
    [
        with_other_decoder,
        encoder_only,
        lambda tensors: dict(reversed(tensors.items())),
        lambda tensors: {name: torch.nn.Parameter(value) for name, value in tensors.items()},
        lambda tensors: {name: value.double() for name, value in tensors.items()},
        lambda tensors: {name: transposed_twice(value) for name, value in tensors.items()},
    ],
    ids=["other decoder", "encoder only", "other order", "parameters", "float64", "other strides"],
)
def test_equal_encoders(tensors: Tensors, change: Callable[[Tensors], Tensors]) -> None:
    assert encoder_sha256(change(tensors)) == encoder_sha256(tensors)


def one_value(tensors: Tensors) -> Tensors:
    name = "image_encoder.blocks.0.attn.qkv.bias"
    changed = tensors[name].clone()
    changed[3] = torch.nextafter(changed[3], torch.tensor(torch.inf))
    return tensors | {name: changed}


def renamed(tensors: Tensors) -> Tensors:
    return {name.replace("blocks.0", "blocks.1"): value for name, value in tensors.items()}


def reshaped(tensors: Tensors) -> Tensors:
    name = "image_encoder.pos_embed"
    return tensors | {name: tensors[name].reshape(1, 32, 128, -1)}


def swapped(tensors: Tensors) -> Tensors:
    one, two = "image_encoder.blocks.0.norm1.bias", "image_encoder.blocks.0.norm2.bias"
    return tensors | {one: tensors[two], two: tensors[one]}


def halved(tensors: Tensors) -> Tensors:
    return {name: value.half() for name, value in tensors.items()}


@pytest.mark.parametrize("change", [one_value, renamed, reshaped, swapped, halved])
def test_different_encoders(tensors: Tensors, change: Callable[[Tensors], Tensors]) -> None:
    assert encoder_sha256(change(tensors)) != encoder_sha256(tensors)


def test_the_hash_is_64_hexadecimal_digits(tensors: Tensors) -> None:
    assert len(bytes.fromhex(encoder_sha256(tensors))) == 32


@pytest.mark.parametrize("wrapper", ["model", "model_state", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "sam."])
def test_independent_of_wrapper_prefix_and_format(
    tmp_path: Path, tensors: Tensors, wrapper: str, prefix: str
) -> None:
    named = {prefix + name: value for name, value in tensors.items()}
    torch.save({wrapper: named, "epoch": 1}, tmp_path / "model.pth")
    save_file(named, tmp_path / "model.safetensors")
    for suffix in ("pth", "safetensors"):
        read = read_checkpoint(tmp_path / f"model.{suffix}")
        assert encoder_sha256(read.tensors) == encoder_sha256(tensors)


@pytest.mark.slow
def test_vit_b_files_of_one_encoder_are_known_as_one(
    tmp_path: Path, vit_b_tensors: Tensors, vit_b_path: Path
) -> None:
    """SAM's own file, and another decoder on its encoder in MedicoSAM's training layout."""
    sam = load_model(vit_b_path, "cpu")
    assert sam.encoder == encoder_sha256(vit_b_tensors)
    assert (sam.spec.architecture, sam.spec.family) == ("vit_b", "sam")
    tuned = with_other_decoder(vit_b_tensors)
    path = tmp_path / "tuned.pth"
    named = {f"sam.{name}": value for name, value in tuned.items()}
    torch.save({"model_state": named, "decoder_state": {"weight": torch.ones(1)}}, path)
    loaded = load_model(path, "cpu")
    assert loaded.encoder == sam.encoder
    name = "mask_decoder.iou_token.weight"
    assert not torch.equal(loaded.network.state_dict()[name], vit_b_tensors[name])

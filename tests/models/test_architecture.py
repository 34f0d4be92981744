"""Architectures told from shapes, and networks filled strictly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from segment_anything import sam_model_registry

from napari_samri.errors import ModelError
from napari_samri.models.architecture import detect_architecture
from napari_samri.models.checkpoint import Checkpoint
from napari_samri.models.network import fill
from napari_samri.models.sam1 import build_vit
from napari_samri.models.starter.network import StarterConfig, StarterNetwork

PATH = Path("model.pth")
TINY_VIT = "image_encoder.patch_embed.seq.0.c.weight"


def checkpoint(tensors: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint(PATH, tensors)


def of_shapes(shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    return checkpoint({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})


@pytest.mark.parametrize("architecture", ["vit_b", "vit_l", "vit_h"])
def test_the_sam_librarys_own_networks(architecture: str) -> None:
    with torch.device("meta"):
        tensors = sam_model_registry[architecture]().state_dict()
    assert detect_architecture(checkpoint(tensors)).id == architecture


def test_the_starter() -> None:
    network = StarterNetwork(StarterConfig())
    assert detect_architecture(checkpoint(network.state_dict())).id == "starter"


@pytest.mark.parametrize(("kernel", "expected"), [(3, "mobile_sam"), (1, "lite_medsam")])
def test_small_encoders(kernel: int, expected: str) -> None:
    assert detect_architecture(of_shapes({TINY_VIT: (32, 3, kernel, kernel)})).id == expected


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        ({"image_encoder.trunk.pos_embed": (1, 96, 7, 7)}, "SAM 2"),
        (
            {
                "image_encoder.pos_embed": (1, 16, 16, 768),
                "image_encoder.blocks.0.Adapter.spatial.0.weight": (768, 768, 4, 4),
            },
            "SAM-Med2D",
        ),
        ({"image_encoder.pos_embed": (1, 64, 64, 384)}, r"pos_embed \(1, 64, 64, 384\)"),
        ({"image_encoder.pos_embed": ()}, "not a checkpoint of a SAM-family"),
        ({TINY_VIT + "s": (3,)}, TINY_VIT),
        ({"conv1.weight": (64, 3, 7, 7), "fc.bias": (1000,)}, r"conv1.weight \(64, 3, 7, 7\), fc"),
    ],
)
def test_others_are_refused_by_name(shapes: dict[str, tuple[int, ...]], named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        detect_architecture(of_shapes(shapes))
    assert str(caught.value).startswith(f"{PATH}: ")
    assert "Expected SAM ViT-B" in str(caught.value)


# Filling, on a network small enough to compare every number.


def small() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))


def small_tensors() -> dict[str, torch.Tensor]:
    return {
        "0.weight": torch.arange(6.0).reshape(2, 3),
        "0.bias": torch.tensor([1.0, 2.0]),
        "1.weight": torch.tensor([[3.0, 4.0]]),
        "1.bias": torch.tensor([5.0]),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_fill_gives_fp32_copies_of_the_values(dtype: torch.dtype) -> None:
    network = small()
    fill(network, checkpoint({name: v.to(dtype) for name, v in small_tensors().items()}))
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, small_tensors()[name])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"0.bias": None}, "1 missing: 0.bias"),
        ({"extra.weight": torch.ones(1)}, "1 unexpected: extra.weight"),
        ({"1.weight": torch.ones(1, 5)}, r"1.weight \(1, 5\), expected \(1, 2\)"),
        ({"1.bias": torch.tensor([5])}, "1 not floating point: 1.bias"),
        ({"0.bias": None, "spare": torch.ones(1)}, "1 missing: 0.bias; 1 unexpected: spare"),
        (dict.fromkeys(small_tensors()), "4 missing: 0.bias, 0.weight, 1.bias, 1.weight"),
        ({f"x{i}": torch.ones(1) for i in range(9)}, "9 unexpected: x0, x1, x2, x3, x4 and 4 more"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, torch.Tensor | None], expected: str) -> None:
    network = small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tensors = {k: v for k, v in {**small_tensors(), **change}.items() if v is not None}
    with pytest.raises(ModelError, match=expected) as caught:
        fill(network, checkpoint(tensors))
    assert str(caught.value).startswith(f"{PATH}: ")
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_counts_stay_whole_numbers() -> None:
    network = torch.nn.BatchNorm1d(2)
    tensors = {name: value + 1 for name, value in network.state_dict().items()}
    fill(network, checkpoint(tensors))
    assert network.state_dict()["num_batches_tracked"].dtype == torch.int64
    assert all(torch.equal(v, tensors[name]) for name, v in network.state_dict().items())


@pytest.mark.parametrize("trick", ["expanded", "strided"])
def test_values_that_share_memory_are_read_as_they_are(trick: str) -> None:
    tensors = small_tensors()
    tensors["0.weight"] = {
        "expanded": torch.tensor([7.0]).expand(2, 3),
        "strided": torch.arange(6.0).reshape(3, 2).T,
    }[trick]
    network = small()
    fill(network, checkpoint(tensors))
    inputs = torch.tensor([[1.0, 2.0, 3.0]])
    expected = (inputs @ tensors["0.weight"].T + tensors["0.bias"]) @ tensors["1.weight"].T + 5
    assert torch.allclose(network(inputs), expected)


@pytest.mark.slow
def test_vit_b_holds_every_value_of_its_file(vit_b_tensors: dict[str, torch.Tensor]) -> None:
    sam = build_vit(checkpoint(vit_b_tensors), "vit_b")
    state = sam.state_dict()
    assert state.keys() == vit_b_tensors.keys()
    assert all(torch.equal(value, vit_b_tensors[name]) for name, value in state.items())
    assert not any(tensor.is_meta for tensor in (*sam.parameters(), *sam.buffers()))
    assert not sam.training
    without = {k: v for k, v in vit_b_tensors.items() if k != "mask_decoder.iou_token.weight"}
    with pytest.raises(ModelError, match=r"1 missing: mask_decoder.iou_token.weight"):
        build_vit(checkpoint(without), "vit_b")

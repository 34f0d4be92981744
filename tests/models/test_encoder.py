"""SAM's encoder run in tiles, against the library's own class."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch.utils._python_dispatch import TorchDispatchMode

from napari_samri.errors import Cancelled
from napari_samri.models.sam1 import encoder as module
from napari_samri.models.sam1.encoder import encode_vit

if TYPE_CHECKING:
    from collections.abc import Callable

RELATIVE_L2 = 1e-5
PATCH = 4


def build(grid: int = 20, **options: Any) -> ImageEncoderViT:
    """Build blocks with and without windows, with positions that are not zero."""
    torch.manual_seed(grid)
    settings: dict[str, Any] = {
        "img_size": grid * PATCH,
        "patch_size": PATCH,
        "embed_dim": 32,
        "depth": 3,
        "num_heads": 2,
        "out_chans": 8,
        "norm_layer": partial(torch.nn.LayerNorm, eps=1e-6),
        "use_rel_pos": True,
        "window_size": 14,
        "global_attn_indexes": (1,),
    }
    encoder = ImageEncoderViT(**settings | options)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return encoder.eval()


def images(encoder: ImageEncoderViT, count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, encoder.img_size, encoder.img_size, generator=generator)


def check(encoder: ImageEncoderViT, count: int = 1) -> None:
    inputs = images(encoder, count)
    with torch.no_grad():
        expected = encoder(inputs)
    found = encode_vit(encoder, inputs)
    assert found.shape == expected.shape
    assert (found - expected).norm() < RELATIVE_L2 * expected.norm()


@pytest.mark.parametrize("grid", [20, 28, 8], ids=["edges", "whole windows", "one narrow window"])
def test_is_the_librarys(grid: int) -> None:
    check(build(grid))


def test_images_of_a_batch_do_not_mix() -> None:
    check(build(), count=3)


@pytest.mark.parametrize("most", [1, 2000, 10_000, 100_000])
def test_tiles_do_not_show(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ON_CPU", most)
    monkeypatch.setattr(module, "_PIXELS", 7)
    check(build(), count=2)


@pytest.mark.parametrize(
    "options",
    [
        {"use_rel_pos": False},
        {"qkv_bias": False},
        {"use_abs_pos": False},
        {"window_size": 0},
        {"act_layer": torch.nn.ReLU},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_settings(options: dict[str, Any]) -> None:
    check(build(**options))


def test_the_way_of_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_in_cache", lambda _: False)
    monkeypatch.setattr(module, "_ELSEWHERE", 50_000)
    check(build(), count=2)


def test_nothing_stays_on_the_cpu() -> None:
    encoder = build().to("meta")
    assert encode_vit(encoder, images(encoder).to("meta")).device.type == "meta"


def test_never_makes_all_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(
            self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.elements = max(self.elements, result.untyped_storage().nbytes() // 4)
            return result

    encoder = build(grid=32, global_attn_indexes=(0, 1, 2))
    monkeypatch.setattr(module, "_ON_CPU", 2**15)
    with Largest() as library, torch.no_grad():
        encoder(images(encoder))
    with Largest() as ours:
        encode_vit(encoder, images(encoder))
    assert library.elements == 2 * 1024 * 1024
    assert ours.elements == 1024 * 4 * 32  # what the perceptron widens the pixels to


def test_reports_and_stops() -> None:
    encoder = build()
    shares: list[float] = []
    encode_vit(encoder, images(encoder), shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.9 <= shares[-1] < 1
    assert len(shares) > len(encoder.blocks)

    def stop(share: float) -> None:
        if share >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        encode_vit(encoder, images(encoder), stop)

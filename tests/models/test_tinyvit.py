"""The encoder of the light models against timm's blocks, and all that is done with such a model.

timm's TinyViT is put together as MobileSAM has it: the last stage keeps its resolution, and SAM's
neck follows. Its tensors have other names, in the same order but for where a stage's way down is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything.modeling.common import LayerNorm2d

from napari_samri import load_predictor
from napari_samri.errors import ModelError
from napari_samri.models import load_model
from napari_samri.models.checkpoint import Checkpoint
from napari_samri.models.tinyvit.encoder import TinyVit, TinyVitConfig
from napari_samri.models.tinyvit.network import LITE_MEDSAM, build_tiny_vit, tiny_vit

SMALL = TinyVitConfig(
    widths=(4, 8, 12, 16), depths=(1, 1, 2, 1), heads=(1, 2, 3, 4), neck=256, classes=5
)


def seeded(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give a network random values, batch norms among them, as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.is_floating_point():
                fan = max(1, value[0].numel()) if value.ndim > 1 else 4
                value.copy_(torch.randn(value.shape, generator=generator) / fan**0.5)
    return network.eval()


def by_timm(encoder: TinyVit, config: TinyVitConfig) -> torch.nn.Module:
    """Return timm's network with the encoder's values."""
    timm = pytest.importorskip("timm.models.tiny_vit")
    network = timm.TinyVit(
        embed_dims=config.widths,
        depths=config.depths,
        num_heads=config.heads,
        window_sizes=config.windows,
        num_classes=0,
    )
    network.stages[3].downsample.conv2.conv.stride = (1, 1)
    neck = torch.nn.Sequential(
        torch.nn.Conv2d(config.widths[-1], config.neck, 1, bias=False),
        LayerNorm2d(config.neck),
        torch.nn.Conv2d(config.neck, config.neck, 3, padding=1, bias=False),
        LayerNorm2d(config.neck),
    )
    tensors = {_timms(name): value for name, value in encoder.state_dict().items()}
    neck.load_state_dict(
        {k.removeprefix("neck."): v for k, v in tensors.items() if k.startswith("neck.")}
    )
    wanted = network.state_dict().keys()
    network.load_state_dict({k: v for k, v in tensors.items() if k in wanted}, strict=False)
    assert {k for k in wanted if k not in tensors and not k.startswith("head.")} == set()
    return torch.nn.Sequential(network.patch_embed, network.stages, neck).eval()


def _timms(name: str) -> str:
    """Return timm's name of a tensor: ways down belong to the stage that they lead to."""
    name = name.replace("patch_embed.seq.0", "patch_embed.conv1")
    name = name.replace("patch_embed.seq.2", "patch_embed.conv2").replace(
        ".c.weight", ".conv.weight"
    )
    if name.startswith("layers."):
        _, stage, rest = name.split(".", 2)
        name = f"stages.{int(stage) + rest.startswith('downsample')}.{rest}"
    return name


@pytest.mark.parametrize("size", [(64, 64), (128, 96), (100, 60)], ids=str)
def test_as_timm_computes_it(size: tuple[int, int]) -> None:
    """Sizes whose windows fit or reach over the edge, in strips and in one."""
    encoder = seeded(TinyVit(SMALL))
    assert isinstance(encoder, TinyVit)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, expected = encoder(x), by_timm(encoder, SMALL)(x)
    assert found.shape == expected.shape
    assert (found - expected).norm() <= 1e-5 * expected.norm()


def test_strips_are_no_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, x = seeded(TinyVit(SMALL)), torch.randn(1, 3, 128, 128)
    found = []
    for size in (1, 1 << 12, 1 << 30):
        monkeypatch.setattr("napari_samri.models.tinyvit.encoder._STRIP_BYTES", size)
        with torch.inference_mode():
            found.append(encoder(x))
    assert all(torch.allclose(each, found[0], atol=1e-5) for each in found)


def test_the_encoder_can_be_watched_and_stopped() -> None:
    encoder, shares = seeded(TinyVit(SMALL)), list[float]()
    encoder(torch.zeros(2, 3, 32, 32), shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1

    def stop(share: float) -> None:
        if share > 0.4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        encoder(torch.zeros(1, 3, 32, 32), stop)


# Whole models: the published layout with random weights, and a small encoder in all uses.


def test_litemedsam_runs_in_its_own_frame(tmp_path: Path) -> None:
    path = tmp_path / "lite_medsam.pth"
    torch.save(seeded(tiny_vit(LITE_MEDSAM)).state_dict(), path)
    model = load_model(path, "cpu")
    assert model.spec.architecture == "lite_medsam"
    assert model.preprocessing.input_shape == (3, 256, 256)
    assert not model.spec.takes_points
    image = np.random.default_rng(0).normal(100, 20, (40, 60))
    predictor = load_predictor(path, device="cpu")
    embedding = predictor.embed(image)
    assert embedding.features["image"].shape == (256, 64, 64)
    assert np.isfinite(embedding.features["image"]).all()
    answer = predictor.predict(embedding, box_xyxy=[5, 5, 20, 30])
    assert answer.masks.shape[-2:] == (40, 60)


@pytest.mark.parametrize("missing", ["image_encoder.neck.3.bias", "mask_decoder.iou_token.weight"])
def test_checkpoints_are_loaded_strictly(missing: str) -> None:
    with torch.device("meta"):
        tensors = tiny_vit(LITE_MEDSAM).state_dict()
    tensors.pop(missing)
    with pytest.raises(ModelError, match=f"1 missing: {missing}"):
        build_tiny_vit(Checkpoint(Path("lite.pth"), tensors), LITE_MEDSAM)

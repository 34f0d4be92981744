"""MedSAM's family against a plain transcription of MedSAM's own pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from segment_anything import sam_model_registry
from skimage import transform
from torch.nn import functional as F

from napari_samri import EmbeddingCache, load_predictor
from tests.oracle.conftest import make_slice

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.slow

SHAPES = ((181, 217),)


def medsam_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Clip to the percentiles of the non-zero voxels, to 0..255, zeros stay zero."""
    low, high = np.percentile(image[image != 0], (0.5, 99.5))
    clipped = np.clip(image, low, high)
    scaled = (clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255
    scaled[image == 0] = 0
    return scaled.astype(np.uint8)


def medsam_input(image: NDArray[Any]) -> torch.Tensor:
    """Three channels, stretched to 1024 x 1024, to [0, 1]."""
    rgb = np.repeat(medsam_uint8(image)[..., None], 3, axis=2)
    large = transform.resize(
        rgb, (1024, 1024), order=3, preserve_range=True, anti_aliasing=True
    ).astype(np.uint8)
    unit = (large - large.min()) / max(large.max() - large.min(), 1e-8)
    return torch.from_numpy(unit).float().permute(2, 0, 1)[None]


@torch.inference_mode()
def medsam_mask(
    sam: Any, embedding: torch.Tensor, box: NDArray[Any], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Box in input pixels, sigmoid, straight to the slice, over 0.5."""
    height, width = shape
    box_1024 = torch.as_tensor(box / np.array([width, height] * 2) * 1024).float()
    sparse, dense = sam.prompt_encoder(points=None, boxes=box_1024[None, None], masks=None)
    logits, _ = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    probability = F.interpolate(
        torch.sigmoid(logits), size=shape, mode="bilinear", align_corners=False
    )
    return (probability[0, 0] > 0.5).numpy()


@pytest.fixture(scope="module")
def sam(vit_b_path: Path) -> Any:
    return sam_model_registry["vit_b"](checkpoint=str(vit_b_path)).eval()


@pytest.mark.parametrize("shape", SHAPES, ids="{0[0]}x{0[1]}".format)
def test_pipeline(sam: Any, vit_b_path: Path, shape: tuple[int, int]) -> None:
    image = make_slice(shape, seed=3)
    image[:, : shape[1] // 5] = 0
    ours = load_predictor(vit_b_path, device="cpu", cache=EmbeddingCache(), family="medsam")
    with torch.inference_mode():
        expected = sam.image_encoder(medsam_input(image))
    embedding = ours.embed(image)
    error = np.linalg.norm(embedding.features["image"] - expected[0].numpy()) / np.linalg.norm(
        expected
    )
    assert error < 1e-4
    box = np.array([0.2 * shape[1], 0.3 * shape[0], 0.7 * shape[1], 0.75 * shape[0]])
    found = ours.predict(embedding, box_xyxy=box).masks[0]
    assert (found != medsam_mask(sam, expected, box, shape)).mean() <= 1e-4
    assert 0 < found.mean() < 1

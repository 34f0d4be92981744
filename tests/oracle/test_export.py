"""A tuned ViT-B, exported, in the SAM library's own hands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from segment_anything import SamPredictor, sam_model_registry

from napari_samri import EmbeddingCache
from napari_samri.models.export import export_checkpoint
from napari_samri.models.loading import load_model
from napari_samri.models.preprocessing import SAM
from napari_samri.models.tuned import card_of, write_decoder
from napari_samri.segment.predictor import Predictor
from tests.oracle.conftest import make_slice
from tests.oracle.test_sam import DIFFERENT_PIXELS, minmax_rgb, prompts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_an_exported_vit_b_gives_the_same_masks(vit_b_path: Path, tmp_path: Path) -> None:
    base = load_model(vit_b_path, "cpu")
    rng = np.random.default_rng(0)
    tensors = {
        name: value * float(rng.uniform(0.8, 1.2))
        for name, value in base.network.state_dict().items()
    }
    decoder, out = tmp_path / "tuned.safetensors", tmp_path / "out.pth"
    card = card_of(base, title="Tuned", objective={"name": "samri-bp"}, trains_quality=False)
    write_decoder(decoder, tensors, card)
    assert decoder.stat().st_size < 17e6
    tuned = load_model(decoder, "cpu")
    export_checkpoint(tuned, out)
    assert abs(out.stat().st_size - vit_b_path.stat().st_size) < 100_000

    library = SamPredictor(sam_model_registry["vit_b"](checkpoint=str(out)).eval())
    image = make_slice((256, 220)).astype(np.float64)
    library.set_image(minmax_rgb(image))
    # The library knows one map of prompts only, and this decoder was tuned by the other.
    ours = Predictor(replace(tuned, preprocessing=SAM), EmbeddingCache())
    embedding = ours.embed(image)
    shares = []
    for prompt in prompts(embedding.slice_shape).values():
        masks, scores, logits = library.predict(**prompt, multimask_output=True)
        found = ours.predict(
            embedding,
            points_xy=prompt.get("point_coords"),
            point_labels=prompt.get("point_labels"),
            box_xyxy=prompt.get("box"),
            multimask=True,
        )
        assert (found.masks != masks).mean() <= DIFFERENT_PIXELS
        np.testing.assert_allclose(found.scores, scores, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.logits, logits, rtol=1e-3, atol=1e-3)
        shares += [masks.mean()]
    assert any(0 < share < 1 for share in shares), "masks are trivial, and parity means little"

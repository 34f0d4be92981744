"""MobileSAM with real weights, against what the published code answered with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_samri.models import PromptBatch, load_model
from tests.conftest import SHARED_DATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_samri.models import LoadedModel

    Answers = Mapping[str, NDArray[Any]]

pytestmark = pytest.mark.slow

WEIGHTS = SHARED_DATA.parents[1] / "weights"
SLICES = ("seeded_181x217", "mouse_fvb1_slice_40")
PROMPTS = ("box", "point", "box_point")


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    path = WEIGHTS / "mobile_sam.pt"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return load_model(path, "cpu")


@pytest.fixture(scope="module")
def answers() -> Answers:
    path = Path(WEIGHTS / "mobile_sam_oracle.npz")
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return dict(np.load(path))


@pytest.mark.parametrize("name", SLICES)
def test_embeddings(model: LoadedModel, answers: Answers, name: str) -> None:
    image = model.preprocessing.to_input(model.preprocessing.to_uint8(answers[f"{name}/slice"]))
    with torch.inference_mode():
        found = model.network.encode(torch.from_numpy(image))["image"][0].numpy()
    expected = answers[f"{name}/embedding"]
    assert np.linalg.norm(found - expected) <= 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("name", SLICES)
def test_logits_and_masks(model: LoadedModel, answers: Answers, name: str, kind: str) -> None:
    frame = model.preprocessing.make_frame(answers[f"{name}/slice"].shape)
    box = frame.box_to_input(answers[f"{name}/box_xyxy"]) if "box" in kind else None
    points = frame.points_to_input(answers[f"{name}/point_xy"]) if "point" in kind else None
    prompts = PromptBatch.of_one(
        model.device,
        box_input=box,
        points_input=points,
        labels=None if points is None else np.ones(len(points)),
    )
    embedding = torch.from_numpy(answers[f"{name}/embedding"])[None]
    with torch.inference_mode():
        logits, scores = model.network.decode({"image": embedding}, prompts)
    expected = answers[f"{name}/{kind}/logits"]
    np.testing.assert_allclose(logits[0], expected, atol=1e-3)
    np.testing.assert_allclose(scores[0], answers[f"{name}/{kind}/iou"], atol=1e-3)
    masks = frame.logits_to_masks(logits[0].numpy()) != frame.logits_to_masks(expected)
    assert masks.mean() <= 1e-4

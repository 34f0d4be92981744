"""Our predictor against the SAM library's own `SamPredictor`, on one checkpoint."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from napari_samri import EmbeddingCache, load_predictor
from tests.oracle.conftest import SHAPES, make_slice
from tests.tiny import install_tiny, random_tiny, tiny_tensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri import Embedding, Predictor

    Embedded = tuple[Predictor, Embedding, SamPredictor]

pytestmark = pytest.mark.slow

RELATIVE_L2 = 1e-4
DIFFERENT_PIXELS = 1e-4


def minmax_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """What SAMRI feeds to SAM: per-slice min-max, rounded, three equal channels."""
    scaled = (image - image.min()) / (image.max() - image.min())
    return np.repeat(np.rint(scaled * 255).astype(np.uint8)[..., None], 3, axis=2)


Case = tuple[str, tuple[int, int]]
# ViT-B takes half a minute for a slice, twice. What depends on the slice's shape alone (resizing,
# padding, coordinates, the way back) is the same code for a small network of the same layout.
CASES: list[Case] = [("vit_b", (181, 217)), *(("tiny", shape) for shape in SHAPES)]


@pytest.fixture(scope="module")
def checkpoints(vit_b_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the weights of both networks."""
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.pth"
    torch.save(tiny_tensors(), path)
    return {"vit_b": vit_b_path, "tiny": path}


@pytest.fixture(scope="module")
def embed(checkpoints: dict[str, Path]) -> Callable[[Case], Embedded]:
    """Embed a slice in both ways, once, in whatever order the tests run."""

    @cache
    def load(name: str) -> tuple[Predictor, Any]:
        path = checkpoints[name]
        with pytest.MonkeyPatch.context() as patch:
            if name == "tiny":
                install_tiny(patch)
                network = random_tiny()
            else:
                network = sam_model_registry["vit_b"](checkpoint=str(path)).eval()
            return load_predictor(path, device="cpu", cache=EmbeddingCache()), network

    @cache
    def embed(case: Case) -> Embedded:
        name, shape = case
        ours, network = load(name)
        image = make_slice(shape).astype(np.float64)
        library = SamPredictor(network)
        library.set_image(minmax_rgb(image))
        return ours, ours.embed(image), library

    return embed


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1][0]}x{case[1][1]}")
def embedded(request: pytest.FixtureRequest, embed: Callable[[Case], Embedded]) -> Embedded:
    return embed(request.param)


def test_embedding(embedded: Embedded) -> None:
    _, embedding, library = embedded
    expected = library.get_image_embedding()[0].numpy()
    error = np.linalg.norm(embedding.features["image"] - expected) / np.linalg.norm(expected)
    assert error < RELATIVE_L2


def prompts(shape: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Prompts at fractions of the slice, in its pixels."""
    height, width = shape
    box = np.array([0.2 * width, 0.3 * height, 0.7 * width, 0.75 * height])
    points = np.array([[0.4 * width, 0.5 * height], [0.1 * width, 0.9 * height]])
    labels = np.array([1, 0])
    return {
        "box": {"box": box},
        "point": {"point_coords": points[:1], "point_labels": labels[:1]},
        "points": {"point_coords": points, "point_labels": labels},
        "box and points": {"box": box, "point_coords": points, "point_labels": labels},
    }


def both(embedded: Embedded, multimask: bool, **prompt: Any) -> tuple[Any, Any]:
    """Ask the library and us the same; `prompt` has the library's names."""
    ours, embedding, library = embedded
    expected = library.predict(**prompt, multimask_output=multimask)
    found = ours.predict(
        embedding,
        points_xy=prompt.get("point_coords"),
        point_labels=prompt.get("point_labels"),
        box_xyxy=prompt.get("box"),
        mask_logits=prompt.get("mask_input"),
        multimask=multimask,
    )
    return expected, found


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("name", ["box", "point", "points", "box and points"])
def test_masks(embedded: Embedded, name: str, multimask: bool) -> None:
    prompt = prompts(embedded[1].slice_shape)[name]
    (masks, scores, logits), found = both(embedded, multimask, **prompt)
    assert found.masks.shape == masks.shape == (3 if multimask else 1, *embedded[1].slice_shape)
    assert (found.masks != masks).mean() <= DIFFERENT_PIXELS
    np.testing.assert_allclose(found.scores, scores, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["box", "points"])
def test_mask_prompt(embedded: Embedded, name: str) -> None:
    prompt = prompts(embedded[1].slice_shape)[name]
    (_, _, logits), _ = both(embedded, False, **prompt)
    (masks, _, _), found = both(embedded, False, **prompt, mask_input=logits)
    assert (found.masks != masks).mean() <= DIFFERENT_PIXELS
    without = embedded[2].predict(**prompt, multimask_output=False)[2]
    assert not np.allclose(without, found.logits), "the mask prompt changed nothing"


def test_masks_are_not_trivial(embedded: Embedded) -> None:
    """Random weights could answer all or nothing, and parity would mean little."""
    ours, embedding, _ = embedded
    box = prompts(embedding.slice_shape)["box"]["box"]
    shares = ours.predict(embedding, box_xyxy=box, multimask=True).masks.mean(axis=(1, 2))
    assert ((shares > 0) & (shares < 1)).any()

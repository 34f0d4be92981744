"""Batches through the mask decoder against the library's own one-image forward."""

from __future__ import annotations

import pytest
import torch

from napari_samri.models.sam1.few_tokens import decode_batch, pixels_of
from tests.tiny import CHANNELS, random_tiny

INPUT = 64
GRID = INPUT // 16


@pytest.mark.parametrize("prompts", [1, 3])
@pytest.mark.parametrize("images", [1, 2, 4])
@pytest.mark.parametrize("kind", ["boxes", "points", "masks", "all"])
def test_equals_one_image_at_a_time(images: int, prompts: int, kind: str) -> None:
    sam = random_tiny(3, input_size=INPUT)
    torch.manual_seed(images * 10 + prompts)
    embeddings = torch.randn(images, CHANNELS, GRID, GRID)
    count = images * prompts
    points = (torch.rand(count, 2, 2) * INPUT, torch.randint(0, 2, (count, 2)))
    corners = torch.rand(count, 2, 2) * INPUT / 2
    boxes = torch.cat([corners[:, 0], corners[:, 0] + corners[:, 1] + 1], dim=1)
    sparse, dense = sam.prompt_encoder(
        points=points if kind in {"points", "all"} else None,
        boxes=boxes if kind in {"boxes", "all"} else None,
        masks=torch.randn(count, 1, 4 * GRID, 4 * GRID) if kind in {"masks", "all"} else None,
    )
    position = sam.prompt_encoder.get_dense_pe()
    if kind == "masks":
        # The library's encoder takes the batch size from points and boxes alone.
        sparse = sparse.expand(count, -1, -1)
    with torch.inference_mode():
        logits, scores = decode_batch(
            sam.mask_decoder, embeddings, pixels_of(position), sparse, dense
        )
        assert logits.shape == (count, 4, 4 * GRID, 4 * GRID)
        assert scores.shape == (count, 4)
        for image in range(images):
            own = slice(image * prompts, (image + 1) * prompts)
            for multimask, masks in ((False, slice(0, 1)), (True, slice(1, None))):
                expected_logits, expected_scores = sam.mask_decoder(
                    image_embeddings=embeddings[image : image + 1],
                    image_pe=position,
                    sparse_prompt_embeddings=sparse[own],
                    dense_prompt_embeddings=dense[own],
                    multimask_output=multimask,
                )
                torch.testing.assert_close(logits[own, masks], expected_logits)
                torch.testing.assert_close(scores[own, masks], expected_scores)


def test_prompts_of_one_image_do_not_touch_another() -> None:
    sam = random_tiny(3, input_size=INPUT)
    embeddings = torch.randn(2, CHANNELS, GRID, GRID)
    boxes = torch.tensor([[4.0, 4.0, 30.0, 30.0], [8.0, 2.0, 60.0, 40.0]])
    position = sam.prompt_encoder.get_dense_pe()
    sparse, dense = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
    with torch.inference_mode():
        before, _ = decode_batch(sam.mask_decoder, embeddings, pixels_of(position), sparse, dense)
        changed = sparse.clone()
        changed[1] += 1
        after, _ = decode_batch(sam.mask_decoder, embeddings, pixels_of(position), changed, dense)
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_gradients_reach_the_decoder_and_the_embeddings() -> None:
    sam = random_tiny(3, input_size=INPUT)
    embeddings = torch.randn(2, CHANNELS, GRID, GRID, requires_grad=True)
    boxes = torch.tensor([[4.0, 4.0, 30.0, 30.0]]).repeat(2, 1)
    sparse, dense = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
    position = sam.prompt_encoder.get_dense_pe()
    logits, scores = decode_batch(sam.mask_decoder, embeddings, pixels_of(position), sparse, dense)
    (logits.square().mean() + scores.square().mean()).backward()
    assert embeddings.grad is not None
    assert embeddings.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    for name, parameter in sam.mask_decoder.named_parameters():
        if not name.endswith("k_proj.bias"):  # softmax does not see them
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name

"""SAM's mask decoder for several images at once, each with the same number of prompts.

The library's own `MaskDecoder.forward` takes one image per call. Training needs many: these
functions run the decoder's own weights over a batch and give the same numbers.

Shapes: B images, P prompts each, N prompt tokens, M masks; C channels on an (h, w) grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_samri.models.sam1.few_tokens import masks_of, two_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_anything.modeling import MaskDecoder


def decode_batch(
    decoder: MaskDecoder,
    embeddings: torch.Tensor,
    image_pe: torch.Tensor,
    sparse: torch.Tensor,
    dense: torch.Tensor,
    image: torch.Tensor | None = None,
    choose: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predict all masks of every prompt, or one of each.

    Parameters
    ----------
    decoder : segment_anything.modeling.MaskDecoder
    embeddings : tensor (B, C, h, w)
    image_pe : tensor (1, C, h, w)
        `PromptEncoder.get_dense_pe()`.
    sparse, dense : tensor (B * P, N, C) and (B * P, C, h, w)
        From the prompt encoder; the prompts of one image follow each other.
    image : int tensor (B * P,), optional
        Which embedding each prompt is about, if not all images have the same number of prompts.
    choose : callable, optional
        Takes the predicted IoUs (B * P, M) and returns which mask (B * P,) of each prompt to make;
        M is 1 then. A decoder spends a third of its time on its masks.

    Returns
    -------
    logits : tensor (B * P, M, 4h, 4w)
        Mask 0 is the single mask, the others are the candidates.
    scores : tensor (B * P, M)
        Predicted IoU.
    """
    prompts = sparse.shape[0]
    tokens = _tokens(decoder, sparse)
    if image is None:
        image = torch.arange(prompts, device=dense.device) // (prompts // embeddings.shape[0])
    attended = two_way(
        decoder.transformer, _source(embeddings, dense, image), _pixels(image_pe), tokens
    )
    every = torch.arange(1 + decoder.num_mask_tokens, device=dense.device).expand(prompts, -1)
    scores = decoder.iou_prediction_head(attended.answers(every[:, :1])[:, 0])
    if choose is None:
        chosen = every[:, 1:] - 1
    else:
        chosen = choose(scores)[:, None]
        scores = scores.gather(1, chosen)
    weights = _mask_weights(decoder, attended.answers(1 + chosen), chosen)
    side = embeddings.shape[-1]
    return masks_of(decoder.output_upscaling, attended.pixels, weights, side), scores


def _source(embeddings: torch.Tensor, dense: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Return the pixels (N, P, C) that each prompt begins with."""
    if dense.stride(0) == 0:  # no masks: the same of all prompts, so that few images are added to
        return _pixels(embeddings + dense[:1])[image]
    return _pixels(embeddings)[image] + _pixels(dense)


def _pixels(grid: torch.Tensor) -> torch.Tensor:
    """Put the channels of each pixel side by side: (N, C, h, w) -> (N, P, C)."""
    return grid.flatten(2).transpose(1, 2).contiguous()


def _mask_weights(decoder: MaskDecoder, answers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what the hyper-network of each mask (N, M) makes of its token (N, M, C)."""
    made = [network(answers) for network in decoder.output_hypernetworks_mlps]
    return torch.stack(made, dim=2).take_along_dim(mask[..., None, None], dim=2)[:, :, 0]


def _tokens(decoder: MaskDecoder, sparse: torch.Tensor) -> torch.Tensor:
    """Put the decoder's own tokens, IoU first, in front of each prompt's tokens."""
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    return torch.cat([own.expand(sparse.shape[0], -1, -1), sparse], dim=1)

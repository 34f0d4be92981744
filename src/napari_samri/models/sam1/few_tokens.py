"""SAM's mask decoder with its products re-associated: the same numbers, in less time.

A handful of tokens attend to thousands of pixels and back. The library projects all pixels first;
here the tokens are carried over to the pixels' own space, where they are few, and only they are
projected. Softmax does not see a constant added to all logits of a query, so the bias of the keys
falls away where pixels are the keys. The transposed convolutions, whose kernels do not overlap,
are matrix products over pixels in blocks, put in order at the very end, for the masks alone.

Shapes: N prompts, T tokens, P pixels, H heads of d channels each, C channels.

References
----------
Vaswani et al., Attention is all you need, 2017, https://doi.org/10.48550/arXiv.1706.03762
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from segment_anything.modeling import MaskDecoder, TwoWayTransformer
    from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock

    from napari_samri.models.network import Choose


def decode_batch(
    decoder: MaskDecoder,
    embeddings: torch.Tensor,
    position: torch.Tensor,
    sparse: torch.Tensor,
    dense: torch.Tensor,
    image: torch.Tensor | None = None,
    choose: Choose | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predict masks of every prompt.

    Parameters
    ----------
    decoder : segment_anything.modeling.MaskDecoder
    embeddings : tensor (B, C, h, w)
    position : tensor (1, P, C)
        `PromptEncoder.get_dense_pe()`, as `pixels_of` orders it.
    sparse : tensor (N, T, C)
        Tokens of the prompts.
    dense : tensor (N, C, h, w) or (1, C, 1, 1)
        Of mask prompts, or what stands for none.
    image, choose
        See `napari_samri.models.network.Network.decode`. A decoder spends a third of its time on
        its masks.

    Returns
    -------
    logits : tensor (N, K, 4h, 4w)
        Mask 0 is the single mask, the others are the candidates.
    scores : tensor (N, K)
        Predicted IoU.
    """
    prompts = sparse.shape[0]
    if image is None and prompts != len(embeddings):
        image = torch.arange(prompts, device=sparse.device) // (prompts // len(embeddings))
    pixels = _source(embeddings, dense, image)
    attended = two_way(decoder.transformer, pixels, position, _tokens(decoder, sparse))
    every = torch.arange(1 + decoder.num_mask_tokens, device=sparse.device).expand(prompts, -1)
    scores = decoder.iou_prediction_head(attended.answers(every[:, :1])[:, 0])
    chosen = every[:, 1:] - 1
    if choose is not None:
        chosen = choose(scores)
        scores = scores.gather(1, chosen)
    weights = _mask_weights(decoder, attended.answers(1 + chosen), chosen)
    side = embeddings.shape[-1]
    return masks_of(decoder.output_upscaling, attended.pixels, weights, side), scores


def _source(
    embeddings: torch.Tensor, dense: torch.Tensor, image: torch.Tensor | None
) -> torch.Tensor:
    """Return the pixels (N, P, C) that each prompt begins with."""
    plain = dense.shape[-1] == 1  # no masks: the same of all prompts, so few images are added to
    pixels = pixels_of(embeddings + dense if plain else embeddings)
    if image is not None:
        pixels = pixels[image]
    return pixels if plain else pixels + pixels_of(dense)


def pixels_of(grid: torch.Tensor) -> torch.Tensor:
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


@dataclass(frozen=True, eq=False)
class Attended:
    """What tokens and pixels have made of each other in SAM's two-way transformer.

    Parameters
    ----------
    transformer : TwoWayTransformer
    tokens, queries : tensor (N, T, C)
        At the beginning, and after all blocks.
    pixels, placed : tensor (N, P, C)
        After all blocks, without and with their positional encoding.
    """

    transformer: TwoWayTransformer
    tokens: torch.Tensor
    queries: torch.Tensor
    pixels: torch.Tensor
    placed: torch.Tensor

    def answers(self, rows: torch.Tensor) -> torch.Tensor:
        """Let some tokens look at the pixels once more: rows (N, R) of them, giving (N, R, C).

        The last attention is a matter of each token alone, so who needs few asks for few.
        """
        queries = self.queries.take_along_dim(rows[..., None], dim=1)
        asked = queries + self.tokens.take_along_dim(rows[..., None], dim=1)
        final = self.transformer.final_attn_token_to_image
        seen = tokens_to_pixels(final, asked, self.placed, self.pixels)
        return self.transformer.norm_final_attn(queries + seen)


def two_way(
    transformer: TwoWayTransformer,
    pixels: torch.Tensor,
    position: torch.Tensor,
    tokens: torch.Tensor,
) -> Attended:
    """Run the blocks of SAM's two-way transformer on tokens (N, T, C) and pixels (N, P, C).

    `position` (1, P, C) is the pixels' positional encoding.
    """
    queries = tokens
    for layer in transformer.layers:
        queries, pixels = _block(layer, queries, pixels, tokens, position)
    return Attended(transformer, tokens, queries, pixels, pixels + position)


def _block(
    layer: TwoWayAttentionBlock,
    queries: torch.Tensor,
    pixels: torch.Tensor,
    tokens: torch.Tensor,
    position: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    if layer.skip_first_layer_pe:
        queries = layer.self_attn(q=queries, k=queries, v=queries)
    else:
        placed = queries + tokens
        queries = queries + layer.self_attn(q=placed, k=placed, v=queries)
    queries = layer.norm1(queries)
    placed = pixels + position
    seen = tokens_to_pixels(layer.cross_attn_token_to_image, queries + tokens, placed, pixels)
    queries = layer.norm2(queries + seen)
    queries = layer.norm3(queries + layer.mlp(queries))
    shares, shared = pixels_to_tokens(
        layer.cross_attn_image_to_token, placed, queries + tokens, queries
    )
    return queries, layer.norm4(torch.baddbmm(pixels, shares, shared))


def tokens_to_pixels(
    attention: Attention, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Return what tokens (N, T, C) take from pixels: keys and values (N, P, C)."""
    heads, count = attention.num_heads, queries.shape[1]
    asked = _heads(attention.q_proj(queries), heads)  # (N, H, T, d)
    width = asked.shape[-1]
    # q (W k) = (q W) k
    asked = asked / math.sqrt(width)
    carried = asked @ attention.k_proj.weight.unflatten(0, (heads, width))  # (N, H, T, C)
    # Pixels first, also in the gradient: where their channels lie together, adding is fast.
    logits = (keys @ carried.flatten(1, 2).transpose(1, 2)).transpose(1, 2)
    taken = (torch.softmax(logits, dim=-1) @ values).unflatten(1, (heads, count))
    # Shares sum to one, so the values' bias comes through whole.
    weight = attention.v_proj.weight.unflatten(0, (heads, width)).transpose(1, 2)
    found = (taken @ weight).transpose(1, 2).flatten(2) + attention.v_proj.bias
    return attention.out_proj(found)


def pixels_to_tokens(
    attention: Attention, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what pixels (N, P, C) take from tokens: keys and values (N, T, C).

    As two factors, for whoever adds their product to something: shares (N, P, H T), and what is
    shared out (N, H T, C).
    """
    heads, count = attention.num_heads, keys.shape[1]
    offered = _heads(attention.k_proj(keys), heads)  # (N, H, T, d)
    width = offered.shape[-1]
    offered = offered / math.sqrt(width)
    carried = offered @ attention.q_proj.weight.unflatten(0, (heads, width))
    bias = (offered @ attention.q_proj.bias.unflatten(0, (heads, width, 1))).flatten(1)
    logits = torch.baddbmm(bias[:, None], queries, carried.flatten(1, 2).transpose(1, 2))
    # Pixels last: softmax over a few tokens then goes over whole rows of them.
    rows = logits.transpose(1, 2).contiguous().unflatten(1, (heads, count))
    shares = torch.softmax(rows, dim=2).flatten(1, 2)
    given = _heads(attention.v_proj(values), heads)
    weight = attention.out_proj.weight.unflatten(1, (heads, width)).permute(1, 2, 0)
    # The shares of each head sum to one, so each brings its part of the bias.
    shared = (given @ weight).flatten(1, 2) + attention.out_proj.bias / heads
    return shares.transpose(1, 2), shared


def masks_of(
    upscaling: Any, pixels: torch.Tensor, weights: torch.Tensor, side: int
) -> torch.Tensor:
    """Return the logits (N, M, 4 side, 4 side) of pixels (N, side * side, C).

    Parameters
    ----------
    upscaling : torch.nn.Sequential
        SAM's `output_upscaling`.
    pixels : tensor (N, side * side, C)
    weights : tensor (N, M, C / 8)
        Of the masks, from the hyper-networks.
    side : int
    """
    first, norm, activate, second, activate_again = upscaling
    wide = _spread(first, pixels)  # (N, P, 4, C / 4)
    wide = F.layer_norm(wide, wide.shape[-1:], norm.weight, norm.bias, norm.eps)
    wider = activate_again(_spread(second, activate(wide)))  # (N, P, 4, 4, C / 8)
    logits = wider.flatten(1, 3) @ weights.transpose(1, 2)  # (N, 16 P, M)
    # row, column, then twice which row and column of a block of two by two
    blocks = logits.view(len(logits), side, side, 2, 2, 2, 2, -1)
    return blocks.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(len(logits), -1, 4 * side, 4 * side)


def _spread(convolution: torch.nn.ConvTranspose2d, pixels: torch.Tensor) -> torch.Tensor:
    """Return the block of two by two pixels that each pixel (..., C) becomes: (..., 4, C')."""
    weight = convolution.weight.permute(2, 3, 1, 0)  # (2, 2, C', C)
    bias = None if convolution.bias is None else convolution.bias.repeat(4)
    blocks = F.linear(pixels, weight.flatten(0, 2), bias)
    return blocks.unflatten(-1, (4, -1))


def _heads(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """Split channels into heads: (N, T, H d) -> (N, H, T, d)."""
    return tokens.unflatten(2, (heads, -1)).transpose(1, 2)

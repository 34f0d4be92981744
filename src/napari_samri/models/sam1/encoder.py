"""SAM's image encoder over the library's own weights: the same numbers, in less time and memory.

The library makes the logits of all pairs of pixels at once, 12 x 4096 x 4096 of them, and goes
over them six times in main memory. Here they are made in tiles that stay in a processor's cache:
first what the positions add, the products onto it, softmax in place. Windows that reach beyond the
image are padded with zeros in the library, so that keys and values there are the biases of their
layers; these are put in as they are, and what such pixels would ask is never computed.

Shapes: B images, pixels on a grid (H, W) of C channels; heads of d channels; G groups that attend
each by itself (images x windows x heads), queries (h, w) and keys (a, b) on their grids.

References
----------
Kirillov et al., Segment anything, 2023, https://doi.org/10.48550/arXiv.2304.02643
Li et al., MViTv2, 2022 (relative positions by rows and columns),
https://doi.org/10.48550/arXiv.2112.01526
Rabe and Staats, Self-attention does not need O(n^2) memory, 2021,
https://doi.org/10.48550/arXiv.2112.05682
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Self

import torch
from segment_anything.modeling.image_encoder import get_rel_pos
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_anything.modeling import ImageEncoderViT
    from segment_anything.modeling.image_encoder import Attention, Block

    from napari_samri.models.network import Watch

# Logits of a tile. On a CPU (4 MB) each thread's part is in its core's cache; elsewhere tiles
# bound the memory alone (1 GB).
_ON_CPU, _ELSEWHERE = 2**20, 2**28
# Pixels that go through the perceptron together: what it widens them to is used up in the cache,
# and small enough for malloc to keep its pages for the next ones.
_PIXELS = 1024


@torch.no_grad()
def encode_vit(
    encoder: ImageEncoderViT, images: torch.Tensor, watch: Watch | None = None
) -> torch.Tensor:
    """Return the embeddings (B, C', h, w) of inputs (B, 3, S, S), as `encoder` itself would.

    Parameters
    ----------
    encoder : segment_anything.modeling.ImageEncoderViT
    images : float tensor (B, 3, S, S)
    watch : callable, optional
        Called with the share that is done, 0 to 1, several times a block; what it raises stops
        the encoder, and comes out.
    """
    # Channels of a pixel side by side, which the convolution before leaves apart.
    pixels = encoder.patch_embed(images).contiguous()
    if encoder.pos_embed is not None:
        pixels += encoder.pos_embed
    for number, block in enumerate(encoder.blocks):
        _run_block(block, pixels, _part(watch, number, len(encoder.blocks)))
    embedding: torch.Tensor = encoder.neck(pixels.permute(0, 3, 1, 2))
    return embedding


def _part(watch: Watch | None, number: int, count: int) -> Watch:
    """Return what tells `watch` how far one of several equal parts is."""
    if watch is None:
        return lambda _: None
    return lambda share: watch((number + share) / count)


def _run_block(block: Block, pixels: torch.Tensor, watch: Watch) -> None:
    """Run a transformer block on pixels (B, H, W, C), in place."""
    attention = block.attn
    grid = pixels.shape[1], pixels.shape[2]
    window = _Window.of(attention, (block.window_size,) * 2 if block.window_size else grid)
    qkv = attention.qkv(block.norm1(pixels)).unflatten(3, (3, attention.num_heads, -1)).unbind(3)
    attended = torch.empty_like(pixels)
    out = attended.unflatten(3, (attention.num_heads, -1))
    regions = list(product(*map(_regions, grid, window.size)))
    for number, (rows, columns) in enumerate(regions):
        q, k, v, found = (part[:, rows, columns] for part in (*qkv, out))
        window.attend((q, k, v), found, _part(watch, number, len(regions)))
    pixels += attention.proj(attended)
    for some in pixels.view(-1, pixels.shape[-1]).split(_PIXELS):
        some += block.mlp(block.norm2(some))


def _regions(length: int, window: int) -> list[slice]:
    """Return the part of an axis that whole windows cover, and the rest."""
    whole = length - length % window
    return [part for part in (slice(0, whole), slice(whole, length)) if part.start < part.stop]


@dataclass(frozen=True, eq=False)
class _Window:
    """The windows of a block, within which pixels attend to each other.

    Parameters
    ----------
    size : tuple of int
        Rows a and columns b.
    by_row, by_column : tensor (a, a, d) and (b, b, d)
        What a query's products with are added to its logits, by its own place and a key's.
    padding : sequence of tensor (heads, d)
        Keys and values of pixels beyond the image.
    """

    size: tuple[int, int]
    by_row: torch.Tensor
    by_column: torch.Tensor
    padding: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def of(cls, attention: Attention, size: tuple[int, int]) -> Self:
        """Take what a layer knows of its windows."""
        width = attention.qkv.in_features
        bias = attention.qkv.bias
        if bias is None:
            bias = attention.qkv.weight.new_zeros(3 * width)
        _, key, value = bias.view(3, attention.num_heads, -1)
        if attention.use_rel_pos:
            tables = attention.rel_pos_h, attention.rel_pos_w
        else:
            tables = (key.new_zeros(1, key.shape[-1]),) * 2
        rows, columns = (get_rel_pos(n, n, table) for n, table in zip(size, tables, strict=True))
        return cls(size, rows, columns, (key, value))

    def attend(
        self, qkv: tuple[torch.Tensor, torch.Tensor, torch.Tensor], out: torch.Tensor, watch: Watch
    ) -> None:
        """Write what queries (B, H, W, heads, d) find, in a region whose windows are alike.

        At the image's edge the region may be narrower than the windows are.
        """
        seen = min(self.size[0], out.shape[1]), min(self.size[1], out.shape[2])
        q, k, v = (_windows(part, *seen) for part in qkv)
        if seen != self.size:
            k, v = self._padded(k, 0), self._padded(v, 1)
        found = self._attend(q.flatten(0, 3), k.flatten(0, 3), v.flatten(0, 3), watch)
        _windows(out, *seen).copy_(found.view(q.shape))

    def _padded(self, windows: torch.Tensor, which: int) -> torch.Tensor:
        """Widen windows (..., heads, h, w, d) of keys or values to their full size."""
        height, width, channels = windows.shape[-3:]
        padding = self.padding[which][:, None, None]
        wide = padding.expand(*windows.shape[:-3], *self.size, channels).contiguous()
        wide[..., :height, :width, :] = windows
        return wide

    def _attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, watch: Watch
    ) -> torch.Tensor:
        """Return what queries (G, h, w, d) take of values (G, a, b, d)."""
        keys, values = keys.flatten(1, 2), values.flatten(1, 2)
        found = torch.empty_like(queries)
        tiles = list(_tiles(queries, keys.shape[1]))
        for number, (groups, rows) in enumerate(tiles):
            watch(number / len(tiles))
            asked = queries[groups, rows]
            by_row = torch.einsum("ghwd,had->ghwa", asked, self.by_row[rows])
            by_column = torch.einsum("ghwd,wbd->ghwb", asked, self.by_column[: asked.shape[2]])
            bias = (by_row[..., None] + by_column[..., None, :]).flatten(3).flatten(1, 2)
            taken = _attend_tile(asked.flatten(1, 2), keys[groups], values[groups], bias)
            found[groups, rows] = taken.view(asked.shape)
        return found


def _windows(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """View pixels (B, H, W, heads, d) as windows (B, rows, columns, heads, height, width, d)."""
    cut = pixels.unflatten(2, (-1, width)).unflatten(1, (-1, height))
    return cut.permute(0, 1, 3, 5, 2, 4, 6)


def _tiles(queries: torch.Tensor, keys: int) -> Iterator[tuple[slice, slice]]:
    """Yield which groups and rows of queries (G, h, w, d) to take together."""
    groups, height, width, _ = queries.shape
    most = _ON_CPU if _in_cache(queries) else _ELSEWHERE
    rows = min(height, max(1, most // (width * keys)))
    step = max(1, most // (rows * width * keys))
    for group in range(0, groups, step):
        for row in range(0, height, rows):
            yield slice(group, group + step), slice(row, row + rows)


def _attend_tile(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Return what queries (G, Q, d) take of values (G, K, d); `bias` (G, Q, K) is used up."""
    if not _in_cache(queries):
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
    scale = queries.shape[-1] ** -0.5
    torch.baddbmm(bias, queries, keys.transpose(1, 2), alpha=scale, out=bias)
    return torch.softmax(bias, dim=-1, out=bias) @ values


def _in_cache(tensor: torch.Tensor) -> bool:
    """Tell whether tiles in a cache pay, or the device has a fused attention of its own."""
    return tensor.device.type == "cpu"

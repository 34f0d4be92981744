"""TinyViT, the image encoder of MobileSAM and of LiteMedSAM, under the names of their checkpoints.

Pixels keep their channels side by side, (B, h, w, C), from the first layer to the last: products
over channels then need no copies, and convolutions read the same memory as channels-last. Batch
norms are folded into the convolutions before them at each call, which costs a thousandth of it:
so the tensors stay those of the checkpoint. The last stage keeps its resolution, and SAM's neck
follows, as MobileSAM has it.

References
----------
Wu et al., TinyViT: fast pretraining distillation for small vision transformers, ECCV 2022,
https://doi.org/10.1007/978-3-031-19803-8_5
Zhang et al., Faster Segment Anything, 2023, https://doi.org/10.48550/arXiv.2306.14289
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.models.network import Watch


@dataclass(frozen=True, kw_only=True)
class TinyVitConfig:
    """The numbers of a TinyViT; those of MobileSAM unless others are given.

    Parameters
    ----------
    widths, depths, heads, windows : tuple of int
        Channels and blocks of each stage; heads of its attention and the side of its windows in
        cells, of which the first stage, of convolutions alone, has none.
    neck : int
        Channels C of the embedding.
    patch : int
        Side of the pixels that make a cell of the first stage: 4, or 1 where slices come small.
    classes : int
        Of the classifier that the encoder was first trained as: not used, but in the checkpoint.
    """

    widths: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (2, 4, 5, 10)
    windows: tuple[int, ...] = (7, 7, 14, 7)
    neck: int = 256
    patch: int = 4
    classes: int = 1000


# What a strip's widest layer may take: it then stays in a core's cache from one step to the next.
_STRIP_BYTES = 2 << 20


def _strips(x: torch.Tensor, count: int, row_values: int, step: int = 1) -> Iterator[slice]:
    """Return strips of rows, `step` of them or a multiple, that are each done at a time.

    A layer over a whole slice takes up to 70 MB, and is bound by memory; on a GPU, all rows are
    one strip.

    Parameters
    ----------
    x : tensor
        On the device that computes.
    count, row_values : int
        All rows, and the values of one in the widest layer.
    step : int
    """
    size = count
    if x.device.type == "cpu":
        share = _STRIP_BYTES * max(1, torch.get_num_threads() // 2)
        size = step * max(1, share // (4 * row_values * step))
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


class ConvNorm(nn.Module):
    """A convolution and the batch norm after it: (B, h, w, C) -> (B, h', w', C')."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        padding = kernel // 2
        self.c = nn.Conv2d(n_in, n_out, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(n_out)

    def forward(self, x: torch.Tensor, above_and_below: bool = True) -> torch.Tensor:
        """Run both as one; padding above and below can be left out, where it is there already."""
        c, bn = self.c, cast("Any", self.bn)
        scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        weight, bias = c.weight * scale[:, None, None, None], bn.bias - bn.running_mean * scale
        if c.kernel_size == (1, 1):
            return F.linear(x, weight.flatten(1), bias)
        side = c.kernel_size[0] // 2
        padding = (side if above_and_below else 0, side)
        grid = F.conv2d(x.movedim(-1, 1), weight, bias, c.stride, padding, groups=c.groups)
        return grid.movedim(1, -1)


class Bottleneck(nn.Module):
    """Mix channels, convolve each by itself, mix channels: (B, h, w, C) -> (B, h', w', C').

    The first stage's block (MBConv) widens the channels and adds what came in; between stages,
    the convolution may halve the resolution.
    """

    def __init__(
        self, n_in: int, n_middle: int, n_out: int, *, stride: int = 1, adds: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(n_in, n_middle)
        self.conv2 = ConvNorm(n_middle, n_middle, 3, stride, groups=n_middle)
        self.conv3 = ConvNorm(n_middle, n_out)
        self.stride, self.adds = stride, adds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all three on strips of rows, with the rows beside them that the second one sees."""
        width = x.shape[2] * self.stride * self.conv2.c.in_channels
        rows = _strips(x, -(-x.shape[1] // self.stride), width)
        return torch.cat([self._strip(x, strip) for strip in rows], dim=1)

    def _strip(self, x: torch.Tensor, rows: slice) -> torch.Tensor:
        first, last = rows.start * self.stride - 1, (rows.stop - 1) * self.stride + 2
        wide = F.gelu(self.conv1(x[:, max(first, 0) : last]))
        wide = F.pad(wide, (0, 0, 0, 0, int(first < 0), int(last > x.shape[1])))
        narrow = self.conv3(F.gelu(self.conv2(wide, above_and_below=False)))
        return F.gelu(narrow + x[:, rows]) if self.adds else narrow


class WindowAttention(nn.Module):
    """Attention among the cells of square windows, with a bias for each distance.

    Windows that reach over the edge are filled up with zeros, before the norm: such cells take
    part as keys, all with the same channels.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        # One for each distance (down, across), in rows of the one and columns of the other.
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to the same shape."""
        batch, height, width, _ = x.shape
        side = self.window
        qkv = self.qkv(self.norm(x))
        below, right = -height % side, -width % side
        if below or right:
            empty = F.linear(self.norm.bias, self.qkv.weight, self.qkv.bias)
            filled = empty.repeat(batch, height + below, width + right, 1)
            filled[:, :height, :width] = qkv
            qkv = filled
        rows, columns = qkv.shape[1] // side, qkv.shape[2] // side
        qkv = qkv.view(batch, rows, side, columns, side, self.heads, 3, -1)
        # Each head has its queries, keys and values side by side.
        q, k, v = qkv.permute(6, 0, 1, 3, 5, 2, 4, 7).reshape(
            3, batch * rows * columns, self.heads, side**2, -1
        )
        seen = F.scaled_dot_product_attention(q, k, v, self._biases()[None])
        seen = seen.view(batch, rows, columns, self.heads, side, side, -1)
        seen = seen.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, rows * side, columns * side, -1)
        return self.proj(seen[:, :height, :width])

    def _biases(self) -> torch.Tensor:
        """Return the bias (heads, N, N) of each pair of cells of a window."""
        place = torch.arange(self.window**2, device=self.attention_biases.device)
        down, across = place // self.window, place % self.window
        down, across = ((p[:, None] - p).abs() for p in (down, across))
        return self.attention_biases[:, down * self.window + across]


class Mlp(nn.Module):
    """Norm, and a perceptron of two layers, for each cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., C) to the same shape."""
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class WindowBlock(nn.Module):
    """Attention in windows, a convolution of each channel, and a perceptron."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.mlp = Mlp(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to the same shape."""
        height, row = x.shape[1], x.shape[2] * x.shape[3]
        windows = _strips(x, height, 3 * row, self.attn.window)
        x = self.local_conv(torch.cat([x[:, r] + self.attn(x[:, r]) for r in windows], dim=1))
        rows = _strips(x, height, 4 * row)
        return torch.cat([x[:, r] + self.mlp(x[:, r]) for r in rows], dim=1)


class PatchEmbed(nn.Module):
    """The first two convolutions: (B, h, w, 3) -> (B, h / patch, w / patch, C)."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        kernel, stride = (3, 2) if patch == 4 else (1, 1)
        self.seq = nn.Sequential(
            ConvNorm(3, width // 2, kernel, stride),
            nn.GELU(),
            ConvNorm(width // 2, width, kernel, stride),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Lay pixels into cells."""
        return self.seq(x)


class Neck(nn.Sequential):
    """SAM's: to the embedding's channels, (B, h, w, C) -> (B, h, w, C')."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, 1, bias=False),
            LayerNorm2d(n_out),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            LayerNorm2d(n_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run its four layers where the channels are."""
        mix, norm, smooth, last = cast("Any", tuple(self))
        x = _norm(F.linear(x, mix.weight.flatten(1)), norm)
        return _norm(smooth(x.movedim(-1, 1)).movedim(1, -1), last)


def _norm(x: torch.Tensor, norm: LayerNorm2d) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)


class TinyVit(nn.Module):
    """The whole encoder: (B, 3, S, S) -> (B, C, S / (4 patch), S / (4 patch))."""

    def __init__(self, config: TinyVitConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.widths[0], config.patch)
        self.layers = nn.ModuleList(_stage(config, n) for n in range(len(config.widths)))
        if config.classes:
            self.norm_head = nn.LayerNorm(config.widths[-1])
            self.head = nn.Linear(config.widths[-1], config.classes)
        self.neck = Neck(config.widths[-1], config.neck)

    def forward(self, x: torch.Tensor, watch: Watch | None = None) -> torch.Tensor:
        """Map normalised slices to embeddings; `watch` is called before each part of each slice.

        On a CPU slices go one by one: what belongs to one then stays in cache.
        """
        parts = [self.patch_embed, *(b for layer in self.layers for b in _blocks(layer)), self.neck]
        batches = x.split(1) if x.device.type == "cpu" else (x,)
        found = []
        for number, batch in enumerate(batches):
            pixels = batch.movedim(1, -1).contiguous()
            for done, part in enumerate(parts):
                if watch is not None:
                    watch((number + done / len(parts)) / len(batches))
                pixels = part(pixels)
            found.append(pixels.movedim(-1, 1))
        return torch.cat(found).contiguous()


def _blocks(layer: nn.Module) -> Iterator[nn.Module]:
    for child in layer.children():
        yield from child if isinstance(child, nn.Sequential) else (child,)


def _stage(config: TinyVitConfig, n: int) -> nn.ModuleDict:
    width, depth = config.widths[n], config.depths[n]
    if n == 0:
        made: list[nn.Module] = [
            Bottleneck(width, 4 * width, width, adds=True) for _ in range(depth)
        ]
    else:
        heads, window = config.heads[n], config.windows[n]
        made = [WindowBlock(width, heads, window) for _ in range(depth)]
    stage: dict[str, nn.Module] = {"blocks": nn.Sequential(*made)}
    if n + 1 < len(config.widths):
        # The last stage is as fine as the one before it, for an embedding of 64 x 64.
        wider, stride = config.widths[n + 1], 1 if n + 2 == len(config.widths) else 2
        stage["downsample"] = Bottleneck(width, wider, wider, stride=stride)
    return nn.ModuleDict(stage)

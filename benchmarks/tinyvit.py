"""MobileSAM's encoder against a plain one of timm's blocks: ``python benchmarks/tinyvit.py``.

One slice of 1024 x 1024, random weights, both in one process and in turns. ``--threads 1`` on a
machine that others use: products of two threads wait for each other where cores are busy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TIMM_FUSED_ATTN", "0")  # as published: a softmax of its own

import torch
from timm.models.tiny_vit import TinyVit as PlainTinyVit

from napari_samri.models.tinyvit.encoder import TinyVit, TinyVitConfig


def plain(config: TinyVitConfig) -> torch.nn.Module:
    network = PlainTinyVit(
        embed_dims=config.widths,
        depths=config.depths,
        num_heads=config.heads,
        window_sizes=config.windows,
        num_classes=0,
    )
    network.stages[3].downsample.conv2.conv.stride = (1, 1)
    neck = torch.nn.Sequential(*TinyVit(config).neck)
    return torch.nn.Sequential(network.patch_embed, network.stages, neck).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = TinyVitConfig()
    networks = {"plain": plain(config), "ours": TinyVit(config).eval()}
    image = torch.randn(1, 3, 1024, 1024)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    with torch.inference_mode():
        for _ in range(options.repeats):
            for name, network in networks.items():
                begin = time.perf_counter()
                network(image)
                seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    print(
        f"{options.threads} threads: plain {medians['plain']:.2f} s, ours {medians['ours']:.2f} s, "
        f"{medians['plain'] / medians['ours']:.2f} x as fast"
    )


if __name__ == "__main__":
    main()

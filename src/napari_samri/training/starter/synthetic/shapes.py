"""Primitive shapes painted into a label map, in place, each within its own bounding box.

All sizes are in pixels of the map; a map is an int16 array (H, W).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    LabelMap = NDArray[np.int16]
    BoolArray = NDArray[np.bool_]


def smooth_noise(
    rng: Generator, channels: int, size: int, cells: float, mode: str = "bicubic"
) -> FloatArray:
    """Return (channels, size, size) smooth noise with about `cells` bumps along a side.

    Gaussian values on a coarse grid, interpolated: the shape of Perlin noise at a fraction
    of its cost.
    """
    grid = max(2, math.ceil(cells) + 1)
    coarse = torch.from_numpy(rng.standard_normal((1, channels, grid, grid), dtype=np.float32))
    fine = F.interpolate(coarse, size=(size, size), mode=mode, align_corners=True)
    return fine[0].numpy()


def warp(rng: Generator, labels: LabelMap, cells: float, amplitude: float) -> LabelMap:
    """Displace a label map by smooth noise of the given amplitude in pixels."""
    size = labels.shape[0]
    shift = smooth_noise(rng, 2, size, cells, mode="bilinear") * amplitude
    axis = np.arange(size, dtype=np.float32)
    rows = np.clip(np.rint(axis[:, None] + shift[0]), 0, size - 1).astype(np.intp)
    cols = np.clip(np.rint(axis[None, :] + shift[1]), 0, size - 1).astype(np.intp)
    return labels[rows, cols]


def star(rng: Generator, radius: float, roughness: float) -> tuple[BoolArray, FloatArray]:
    """Return a star-convex shape as a mask, and each pixel's relative radius.

    Parameters
    ----------
    rng : numpy.random.Generator
    radius : float
        Mean radius in pixels.
    roughness : float
        Amplitude of the outline's harmonics, relative to the radius.

    Returns
    -------
    mask : bool array (n, n)
        True inside; n follows the radius.
    depth : float array (n, n)
        0 at the centre, 1 on the outline.
    """
    stretch = math.exp(rng.normal(0, 0.3))
    half = math.ceil(radius * max(stretch, 1 / stretch) * (1 + 2 * roughness)) + 1
    axis = np.arange(-half, half + 1, dtype=np.float32)
    turn = rng.uniform(0, math.pi)
    along = (axis[None, :] * math.cos(turn) + axis[:, None] * math.sin(turn)) / stretch
    across = (axis[:, None] * math.cos(turn) - axis[None, :] * math.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for harmonic in range(2, 7):
        weight = roughness * rng.normal() / harmonic
        outline += weight * np.cos(harmonic * angle + rng.uniform(0, 2 * math.pi))
    depth = np.hypot(along, across) / (radius * np.maximum(outline, 0.3))
    return depth <= 1, depth.astype(np.float32)


def paint(
    labels: LabelMap,
    mask: BoolArray,
    centre: tuple[float, float],
    value: int,
    only_on: int | None = None,
) -> None:
    """Write `value` where a small mask, centred at (row, col), covers the map.

    With `only_on`, only pixels that hold that label change.
    """
    size = labels.shape[0]
    top = round(centre[0]) - mask.shape[0] // 2
    left = round(centre[1]) - mask.shape[1] // 2
    rows = slice(max(top, 0), min(top + mask.shape[0], size))
    cols = slice(max(left, 0), min(left + mask.shape[1], size))
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return
    part = mask[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
    target = labels[rows, cols]
    if only_on is not None:
        part = part & (target == only_on)
    target[part] = value


def tube(rng: Generator, labels: LabelMap, width: float, value: int) -> None:
    """Paint a curved tube of the given width that wanders across the map."""
    size = labels.shape[0]
    length = int(rng.uniform(0.2, 0.9) * size / max(width / 3, 1))
    heading = rng.uniform(0, 2 * math.pi)
    position = rng.uniform(0.15, 0.85, 2) * size
    bend = rng.normal(0, 0.15)
    disk, _ = star(rng, width / 2, 0.0)
    step = max(width / 3, 1)
    for _ in range(length):
        paint(labels, disk, (position[0], position[1]), value)
        bend = 0.9 * bend + rng.normal(0, 0.04)
        heading += bend
        position = position + step * np.array([math.sin(heading), math.cos(heading)])

"""A made-up scan on which the starter is wrong: bright discs, of which half is meant."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZE, SLICES = 64, 12


def half_discs(slices: int = SLICES, seed: int = 0) -> tuple[Any, Any]:
    """Return an image (slices, 64, 64) and labels: of each disc its left half is 1."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    image = generator.normal(100, 8, (slices, SIZE, SIZE)).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    for number in range(slices):
        y, x = generator.uniform(26, 38, 2)
        disc = np.hypot(rows - y, columns - x) < generator.uniform(12, 18)
        image[number] += 60 * disc
        labels[number] = disc & (columns < x)
    return image, labels


def box_of(mask: Any) -> tuple[int, int, int, int]:
    """Return the first and last pixel (x0, y0, x1, y1) of a mask."""
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def dice(one: Any, other: Any) -> float:
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))

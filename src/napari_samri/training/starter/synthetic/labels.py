"""Label maps: anatomy that never was.

Every recipe returns an int16 array (S, S); label 0 is the background, in recipes that have one.
Sizes are given for a 256 x 256 slice and scale with S.

References
----------
Billot et al., SynthSeg, 2023, https://doi.org/10.1016/j.media.2023.102789
Hoffmann et al., SynthMorph, 2022, https://doi.org/10.1109/TMI.2021.3116879
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samri.training.starter.synthetic.shapes import (
    paint,
    smooth_noise,
    star,
    tube,
    warp,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    LabelMap = NDArray[np.int16]

REFERENCE_SIZE = 256


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform between those of `low` and `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def patches(rng: Generator, size: int) -> LabelMap:
    """Tile the slice with regions that meet without gaps: the argmax of several smooth noises."""
    classes = int(rng.integers(4, 20))
    cells = REFERENCE_SIZE / log_uniform(rng, 16, 96)
    noise = smooth_noise(rng, classes, size, cells)
    if rng.random() < 0.5:
        noise += 0.4 * smooth_noise(rng, classes, size, 2.5 * cells, mode="bilinear")
    return noise.argmax(axis=0).astype(np.int16)


def bands(rng: Generator, size: int) -> LabelMap:
    """Fold layers, like cortex or cartilage: level sets of a smooth noise."""
    cells = REFERENCE_SIZE / log_uniform(rng, 32, 128)
    noise = smooth_noise(rng, 1, size, cells)[0]
    levels = np.sort(rng.uniform(-1.5, 1.5, int(rng.integers(2, 8))))
    layered = np.searchsorted(levels, noise).astype(np.int16)
    labels = warp(rng, layered, 2 * cells, rng.uniform(0, 4) * size / REFERENCE_SIZE)
    if rng.random() < 0.5:
        labels[_outside(rng, size)] = 0
    return labels


def body(rng: Generator, size: int) -> LabelMap:
    """Cut through a body: an outline with shells, and organs with parts of their own."""
    unit = size / REFERENCE_SIZE
    labels = np.zeros((size, size), np.int16)
    centre = size / 2 + rng.normal(0, 0.05 * size, 2)
    outline, depth = star(rng, size * rng.uniform(0.25, 0.5), 0.1)
    value = 1
    paint(labels, outline, (centre[0], centre[1]), value)
    for _ in range(int(rng.integers(0, 3))):
        value += 1
        limit = 1 - value * rng.uniform(0.02, 0.08)
        paint(labels, depth <= limit, (centre[0], centre[1]), value)
    for _ in range(int(rng.integers(5, 26))):
        value = _organ(rng, labels, value, unit)
    if rng.random() < 0.3:
        labels = _mirrored(labels)
    return warp(rng, labels, rng.uniform(3, 10), rng.uniform(0, 5) * unit)


def tubes(rng: Generator, size: int) -> LabelMap:
    """Draw vessels, nerves and cords: thin curved structures over another map."""
    labels = body(rng, size) if rng.random() < 0.5 else patches(rng, size)
    first = int(labels.max()) + 1
    for value in range(first, first + int(rng.integers(1, 6))):
        width = log_uniform(rng, 2, 14) * size / REFERENCE_SIZE
        tube(rng, labels, max(width, 1.5), value)
    return labels


def lesions(rng: Generator, size: int) -> LabelMap:
    """Put spots inside regions of another map, some with a rim and satellites."""
    labels = body(rng, size) if rng.random() < 0.6 else patches(rng, size)
    unit = size / REFERENCE_SIZE
    value = int(labels.max())
    for _ in range(int(rng.integers(1, 6))):
        value += 1
        row, col = (int(v) for v in rng.integers(0, size, 2))
        radius = log_uniform(rng, 3, 30) * unit
        spot, depth = star(rng, radius, 0.5)
        paint(labels, spot, (row, col), value)
        if rng.random() < 0.3:
            value += 1
            paint(labels, depth <= 0.6, (row, col), value)
        for _ in range(int(rng.integers(0, 4))):
            satellite, _ = star(rng, max(radius * rng.uniform(0.1, 0.4), 1.2), 0.4)
            offset = rng.normal(0, 2 * radius, 2)
            paint(labels, satellite, (row + offset[0], col + offset[1]), value)
    return labels


# Most objects that people outline are compact, as in bodies; patches and bands teach the others.
RECIPES = ((0.14, patches), (0.08, bands), (0.42, body), (0.12, tubes), (0.24, lesions))


def label_map(rng: Generator, size: int) -> LabelMap:
    """Draw a label map (size, size) by one of the recipes, turned and flipped at random."""
    draw = rng.random() * sum(weight for weight, _ in RECIPES)
    recipe = RECIPES[-1][1]
    for weight, candidate in RECIPES:
        if draw < weight:
            recipe = candidate
            break
        draw -= weight
    labels = np.rot90(recipe(rng, size), int(rng.integers(0, 4)))
    return np.ascontiguousarray(labels[:, ::-1] if rng.random() < 0.5 else labels)


def _organ(rng: Generator, labels: LabelMap, value: int, unit: float) -> int:
    size = labels.shape[0]
    radius = log_uniform(rng, 3, 60) * unit
    row, col = rng.normal(size / 2, 0.17 * size, 2)
    shape, depth = star(rng, max(radius, 1.5), rng.uniform(0, 0.5))
    value += 1
    paint(labels, shape, (row, col), value)
    rim = rng.uniform(1, 6) * unit / radius
    if rng.random() < 0.3 and rim < 0.6:
        value += 1
        paint(labels, depth <= 1 - rim, (row, col), value)
    if rng.random() < 0.3 and radius > 8 * unit:
        part, _ = star(rng, radius * rng.uniform(0.2, 0.5), 0.4)
        offset = rng.normal(0, radius / 3, 2)
        paint(labels, part, (row + offset[0], col + offset[1]), value + 1, only_on=value)
        value += 1
    return value


def _mirrored(labels: LabelMap) -> LabelMap:
    half = labels.shape[1] // 2
    labels[:, -half:] = labels[:, :half][:, ::-1]
    return labels


def _outside(rng: Generator, size: int) -> NDArray[np.bool_]:
    labels = np.zeros((size, size), np.int16)
    outline, _ = star(rng, size * rng.uniform(0.25, 0.45), 0.2)
    paint(labels, outline, (size / 2, size / 2), 1)
    return labels == 0

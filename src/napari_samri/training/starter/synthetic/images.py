"""Slices rendered from label maps: contrast, texture, and what scanners add to them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_samri.training.starter.synthetic.shapes import smooth_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


def render(rng: Generator, labels: NDArray[np.int16], difficulty: float = 1.0) -> NDArray[np.uint8]:
    """Draw a slice (S, S) of uint8 whose regions are those of a label map (S, S).

    The last step is the per-slice min-max to uint8 that the model's slices go through too.

    Parameters
    ----------
    rng : numpy.random.Generator
    labels : int16 array (S, S)
    difficulty : float
        0 for flat regions that stand out, 1 for all that scanners and anatomy do to them.
    """
    size = labels.shape[0]
    image = _regions(rng, labels, difficulty)
    image = _blur(image, rng.uniform(0.3, 0.3 + 1.2 * difficulty) * size / 256)
    if rng.random() < 0.35 * difficulty:
        image = _coarse(rng, image)
    bias = smooth_noise(rng, 1, size, 3)[0] * abs(rng.normal(0, 0.35)) * difficulty
    image = image * np.exp(np.clip(bias, -1.2, 1.2))
    if rng.random() < 0.1 * difficulty:
        image = _artefact(rng, image)
    image = np.clip(image, 0, None) / max(float(image.max()), 1e-6)
    image = image ** math.exp(rng.normal(0, 0.4) * difficulty)
    image = _rician(rng, image, rng.uniform(0, 0.08) * rng.random() * difficulty)
    if rng.random() < 0.1:
        image = image.max() - image
    return _to_uint8(image)


def _regions(rng: Generator, labels: NDArray[np.int16], difficulty: float) -> FloatArray:
    """Give every region a mean, white noise, and at times a texture."""
    size, count = labels.shape[0], int(labels.max()) + 1
    means = rng.uniform(25, 255, count).astype(np.float32)
    for region in np.flatnonzero(rng.random(count) < 0.3 * difficulty):
        means[region] = means[rng.integers(0, count)] + rng.uniform(-14, 14)
    grains = rng.uniform(1, 1 + 13 * difficulty, count).astype(np.float32)
    textures = np.where(rng.random(count) < 0.3 * difficulty, rng.uniform(5, 40, count), 0)
    background = rng.random()
    if background < 0.4:
        means[0], grains[0], textures[0] = 0, 0, 0
    elif background < 0.7:
        means[0], textures[0] = rng.uniform(0, 30), 0
    image = means[labels]
    image += grains[labels] * rng.standard_normal((size, size), dtype=np.float32)
    if textures.any():
        coarse = smooth_noise(rng, 1, size, rng.uniform(8, 60), mode="bilinear")[0]
        image += textures.astype(np.float32)[labels] * coarse
    return np.asarray(image, np.float32)


def _blur(image: FloatArray, sigma: float) -> FloatArray:
    reach = max(1, math.ceil(2.5 * sigma))
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(axis**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum())[None, None]
    x = torch.from_numpy(image)[None, None]
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel[..., None])
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), kernel[:, :, None])
    return x[0, 0].numpy()


def _coarse(rng: Generator, image: FloatArray) -> FloatArray:
    """Sample more coarsely and back, along one axis (thick slices) or both (small matrix)."""
    size = image.shape[0]
    factors = np.exp(rng.uniform(0, math.log(4), 2))
    if rng.random() < 0.5:
        factors[rng.integers(0, 2)] = 1
    small = tuple(max(8, round(size / factor)) for factor in factors)
    x = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    x = F.interpolate(x, size=small, mode="area")
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    return x[0, 0].numpy()


def _artefact(rng: Generator, image: FloatArray) -> FloatArray:
    """Add a ghost, truncated frequencies (Gibbs ringing), or a line of interference."""
    size = image.shape[0]
    kind = int(rng.integers(0, 3))
    if kind == 0:
        shift = int(rng.integers(size // 8, size // 2))
        return image + rng.uniform(0.05, 0.25) * np.roll(image, shift, axis=0)
    if kind == 1:
        keep = int(size * rng.uniform(0.15, 0.35))
        spectrum = np.fft.fftshift(np.fft.fft2(image))
        window = np.zeros_like(spectrum)
        middle = slice(size // 2 - keep, size // 2 + keep)
        window[middle, middle] = 1
        return np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum * window))).astype(np.float32)
    stripes = np.cos(np.arange(size, dtype=np.float32) * rng.uniform(0.3, 2.5))
    return np.asarray(image + image.mean() * rng.uniform(0.05, 0.2) * stripes, np.float32)


def _rician(rng: Generator, image: FloatArray, sigma: float) -> FloatArray:
    """Add the noise of a magnitude image: Gaussian in the real and the imaginary part.

    References
    ----------
    Gudbjartsson and Patz, 1995, https://doi.org/10.1002/mrm.1910340618
    """
    noise = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(sigma)
    return np.hypot(image + noise[0], noise[1])


def _to_uint8(image: FloatArray) -> NDArray[np.uint8]:
    low, high = float(image.min()), float(image.max())
    return np.rint((image - low) / max(high - low, 1e-6) * 255).astype(np.uint8)

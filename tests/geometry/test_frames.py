"""Frames: exact inverses, no shift, and the resizing of each family's own library."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segment_anything.utils.transforms import ResizeLongestSide
from torch.nn import functional as F

from napari_samri.geometry import Frame, LongestSideFrame, StretchedFrame
from napari_samri.geometry.resample import area_matrix, bilinear_matrix, resample

SHAPES = ((256, 256), (320, 256), (181, 217), (640, 640), (40, 49), (1024, 3))
sides = st.integers(2, 1300)


def frames(shape: tuple[int, int]) -> list[Frame]:
    return [
        LongestSideFrame(shape),
        LongestSideFrame(shape, 256, 256),
        LongestSideFrame(shape, 256, 256, area=True),
        StretchedFrame(shape),
    ]


@given(height=sides, width=sides, x=st.floats(0, 1), y=st.floats(0, 1))
def test_points_come_back(height: int, width: int, x: float, y: float) -> None:
    points = np.array([[x * width, y * height]])
    for frame in frames((height, width)):
        inside = frame.points_to_input(points)
        assert (inside <= frame.input_size + 0.51).all()
        np.testing.assert_allclose(frame.points_to_slice(inside), points, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_as_the_sam_library(shape: tuple[int, int]) -> None:
    library, frame = ResizeLongestSide(1024), LongestSideFrame(shape)
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    expected = library.apply_image(np.repeat(image[..., None], 3, axis=2))
    np.testing.assert_array_equal(frame.image_to_input(image), expected[..., 0])
    points = np.array([[1.5, 2.0], [0.0, shape[0]]])
    np.testing.assert_allclose(
        frame.points_to_input(points), library.apply_coords(points, shape), rtol=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_as_the_sam_library(shape: tuple[int, int]) -> None:
    """Upscale to the input, crop the padding, scale to the slice: two steps in one."""
    logits = torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(1))
    frame = LongestSideFrame(shape)
    h, w = frame.filled_shape
    large = F.interpolate(logits[None], (1024, 1024), mode="bilinear", align_corners=False)
    expected = F.interpolate(large[..., :h, :w], shape, mode="bilinear", align_corners=False)
    found = frame.logits_to_slice(logits.numpy())
    np.testing.assert_allclose(found, expected[0].numpy(), atol=2e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_as_litemedsam(shape: tuple[int, int]) -> None:
    frame = LongestSideFrame(shape, 256, 256, area=True)
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    h, w = frame.filled_shape
    expected = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    assert np.abs(frame.image_to_input(image) - expected).max() <= 1  # rounding of halves


def disk(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centre = (0.4 * shape[0], 0.55 * shape[1])
    return np.hypot((rows - centre[0]), (columns - centre[1])) < 0.25 * min(shape)


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_masks_come_back_unshifted(shape: tuple[int, int]) -> None:
    mask = disk(shape)
    for frame in frames(shape):
        logits = frame.mask_to_logits(mask)
        assert logits.shape == (1, 256, 256)
        back = frame.logits_to_slice(logits)[0] > 0
        dice = 2 * (back & mask).sum() / (back.sum() + mask.sum())
        assert dice > 0.97
        drift = np.argwhere(back).mean(axis=0) - np.argwhere(mask).mean(axis=0)
        pixel = max(shape) / 256  # of the low-resolution mask
        assert np.abs(drift).max() < 0.1 * max(pixel, 1)


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_images_and_points_agree(shape: tuple[int, int]) -> None:
    """A bright spot lies in the input where its coordinates are mapped to."""
    row, column = int(0.3 * shape[0]), int(0.6 * shape[1])
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    width = 0.04 * max(shape)
    spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
    image = np.rint(255 * spot).astype(np.uint8)
    for frame in frames(shape):
        resized = frame.image_to_input(image).astype(float)
        weights = resized / resized.sum()
        y, x = (np.mgrid[: resized.shape[0], : resized.shape[1]] * weights).sum(axis=(1, 2))
        # Pixel centres lie half a pixel in: SAM adds that half in its prompt encoder.
        expected = frame.points_to_input(np.array([[column + 0.5, row + 0.5]]))[0] - 0.5
        np.testing.assert_allclose((x, y), expected, atol=0.35 * frame.input_size / max(shape))


@pytest.mark.parametrize(("size_in", "size_out"), [(256, 1024), (1024, 181), (7, 7), (5, 1)])
def test_bilinear_as_torch(size_in: int, size_out: int) -> None:
    signal = torch.rand(1, 1, size_in, 3, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(signal, (size_out, 3), mode="bilinear", align_corners=False)
    found = bilinear_matrix(size_in, size_out) @ signal[0, 0].numpy()
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-3)


@given(size_in=st.integers(1, 400), size_out=st.integers(1, 400))
def test_matrices_keep_constants(size_in: int, size_out: int) -> None:
    for matrix in (bilinear_matrix(size_in, size_out), area_matrix(size_in, size_out)):
        assert matrix.shape == (size_out, size_in)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-4)
        assert (matrix >= 0).all()


def test_area_keeps_the_mean() -> None:
    image = np.random.default_rng(0).random((60, 40)).astype(np.float32)
    small = resample(image, area_matrix(60, 20), area_matrix(40, 10))
    assert small.mean() == pytest.approx(image.mean(), rel=1e-5)

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
        LongestSideFrame(shape, exact=True),
        LongestSideFrame(shape, 256, 256, exact=True),
    ]


@given(height=sides, width=sides, x=st.floats(0, 1), y=st.floats(0, 1))
def test_points_come_back(height: int, width: int, x: float, y: float) -> None:
    points = np.array([[x * (width - 1), y * (height - 1)]])
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


def test_litemedsam_scales_coordinates_by_the_longest_side() -> None:
    """Its code has one ratio for all four numbers, 256 / max(H, W), unlike SAM's."""
    frame = LongestSideFrame((181, 217), 256, 256, area=True)
    np.testing.assert_allclose(
        frame.box_to_input([10, 20, 100, 150]), np.array([10, 20, 100, 150]) * 256 / 217
    )


def spread(shape: tuple[int, int], box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """Return a filled box of a slice, repeated up to an input whose side is a multiple."""
    x0, y0, x1, y1 = box
    mask = np.zeros(shape, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    step = size // max(shape)
    return mask.repeat(step, axis=0).repeat(step, axis=1)


@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (256, 128), (512, 512), (1024, 1024)])
@pytest.mark.parametrize("box", [(3, 5, 20, 9), (0, 0, 0, 0), (7, 2, 8, 31)])
def test_exact_boxes_are_those_of_the_enlarged_mask(
    shape: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    rows, columns = np.nonzero(spread(shape, box, 1024))
    expected = [columns.min(), rows.min(), columns.max(), rows.max()]
    np.testing.assert_array_equal(LongestSideFrame(shape, exact=True).box_to_input(box), expected)


@pytest.mark.parametrize("shape", [(64, 64), (256, 128), (512, 512)])
def test_exact_points_are_centres_of_the_enlarged_pixels(shape: tuple[int, int]) -> None:
    rows, columns = np.nonzero(spread(shape, (7, 3, 7, 3), 1024))
    found = LongestSideFrame(shape, exact=True).points_to_input([[7, 3]])[0]
    np.testing.assert_allclose(found, (columns.mean(), rows.mean()))


def test_exact_points_are_where_the_image_has_them() -> None:
    """The published frame for SAM's own size: low-resolution pixel i at input 4 i + 1.5."""
    frame = LongestSideFrame((256, 256), exact=True)
    np.testing.assert_allclose(frame.points_to_input([[10, 0]]), [[41.5, 1.5]])
    np.testing.assert_allclose(frame.box_to_input([10, 0, 12, 3]), [40, 0, 51, 15])


@given(height=sides, width=sides, x=st.floats(0, 1), y=st.floats(0, 1), side=st.floats(0, 3))
def test_an_exact_box_is_never_inside_out(
    height: int, width: int, x: float, y: float, side: float
) -> None:
    """Even one of a pixel on a slice that is larger than the input."""
    x0, y0 = x * (width - 1), y * (height - 1)
    for frame in frames((height, width)):
        found = frame.box_to_input([x0, y0, x0 + side, y0 + side])
        assert (found[:2] <= found[2:]).all()


def test_library_boxes_as_the_sam_library() -> None:
    shape, box = (181, 217), np.array([10.0, 20, 100, 150])
    expected = ResizeLongestSide(1024).apply_boxes(box[None], shape)[0]
    np.testing.assert_allclose(LongestSideFrame(shape).box_to_input(box), expected)


def thin_logits(angle: float) -> torch.Tensor:
    """Return logits of an object about three low-resolution pixels wide, and sure of itself."""
    rows, columns = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    across = (rows - 128) * np.cos(angle) + (columns - 128) * np.sin(angle)
    along = (columns - 128) * np.cos(angle) - (rows - 128) * np.sin(angle)
    return torch.where((across.abs() < 1.5) & (along.abs() < 60), 4.0, -12.0)[None]


@pytest.mark.parametrize("shape", [(512, 512), (181, 217), (300, 100)])
@pytest.mark.parametrize("angle", [0.4, 1.2])
def test_masks_as_medsam(shape: tuple[int, int], angle: float) -> None:
    """Probabilities are interpolated, straight to the slice, and cut at 0.5."""
    logits = thin_logits(angle)
    expected = F.interpolate(
        torch.sigmoid(logits)[None], shape, mode="bilinear", align_corners=False
    )[0]
    found = StretchedFrame(shape).logits_to_masks(logits.numpy())
    clear = (expected - 0.5).abs() > 1e-4
    np.testing.assert_array_equal(found[clear], (expected > 0.5)[clear])
    of_logits = F.interpolate(logits[None], shape, mode="bilinear", align_corners=False)[0] > 0
    both = (found & of_logits.numpy()).sum()
    dice = 2 * both / (found.sum() + of_logits.numpy().sum())
    assert 0.8 < dice < 0.92, "the test cannot tell the two ways apart"


@pytest.mark.parametrize("shape", [(512, 512), (181, 217), (300, 100)])
def test_masks_as_litemedsam(shape: tuple[int, int]) -> None:
    """The padding is cropped, logits are interpolated, and their sigmoid is cut at 0.5."""
    logits = thin_logits(0.4)
    frame = LongestSideFrame(shape, 256, 256, area=True)
    h, w = frame.filled_shape
    large = F.interpolate(logits[None, :, :h, :w], shape, mode="bilinear", align_corners=False)
    clear = large[0].abs() > 1e-3
    found = frame.logits_to_masks(logits.numpy())
    np.testing.assert_array_equal(found[clear], (torch.sigmoid(large[0]) > 0.5)[clear])


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
        back = frame.logits_to_masks(logits)[0]
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
        exact = getattr(frame, "exact", False)
        middle = np.array([[column, row]]) + (0 if exact else 0.5)
        expected = frame.points_to_input(middle)[0] - (0 if exact else 0.5)
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

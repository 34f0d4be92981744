"""Each family's arithmetic, step by step, against the published code's: no network is needed.

`ResizeLongestSide` and `Sam` are the SAM library's own. MedSAM's and LiteMedSAM's steps are written
out here from what their publishers' inference scripts do: percentiles of the volume, the resize of
scikit-image or OpenCV, min-max, boxes scaled, masks by interpolation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from skimage import transform
from torch.nn import functional as F

from napari_samri.geometry.intensity import percentile_window
from napari_samri.models.preprocessing import LITEMEDSAM, MEDSAM, SAM, STARTER, Preprocessing
from tests.oracle.conftest import make_slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SHAPES = ((64, 64), (181, 217), (320, 256), (640, 500))
BOX = np.array([10.0, 12.0, 50.0, 33.0])
at_shapes = pytest.mark.parametrize("shape", SHAPES, ids="{0[0]}x{0[1]}".format)


def volume(shape: tuple[int, int], kind: str) -> Array:
    """Return a volume with air around it: of positive values, or z-scored, air still 0."""
    slices = np.stack([make_slice(shape, seed) for seed in range(3)])
    if kind == "z-scored":
        slices = (slices - slices.mean()) / slices.std()
    slices[:, :, : shape[1] // 5] = 0
    return slices


def logits(seed: int) -> torch.Tensor:
    """Return low-resolution logits of objects with sharp edges, some of them thin."""
    coarse = torch.randn(1, 1, 40, 40, generator=torch.Generator().manual_seed(seed))
    fine = F.interpolate(coarse, (256, 256), mode="bilinear", align_corners=False)[0]
    return torch.where(fine > 0.4, 5.0, -14.0)


def check_masks(
    family: Preprocessing, shape: tuple[int, int], values: torch.Tensor, cut: float
) -> None:
    """Compare masks with values (M, H, W) cut at a number, but for pixels within rounding of it."""
    found = family.make_frame(shape).logits_to_masks(logits(0).numpy())
    clear = (values - cut).abs() > 1e-3
    np.testing.assert_array_equal(found[clear.numpy()], (values > cut)[clear].numpy())
    assert 0.02 < found.mean() < 0.9


# SAM, SAMRI, MedicoSAM, MobileSAM.


@at_shapes
def test_sam_input(shape: tuple[int, int]) -> None:
    """SAMRI's slices (min-max, rounded, three equal channels) through the library's own steps."""
    image = make_slice(shape).astype(np.float64)
    scaled = (image - image.min()) / (image.max() - image.min())
    rgb = np.repeat(np.rint(scaled * 255).astype(np.uint8)[..., None], 3, axis=2)
    large = torch.as_tensor(ResizeLongestSide(1024).apply_image(rgb)).permute(2, 0, 1)[None]
    # The constants are those of the SAM library; its own method does the rest.
    sam = Sam.__new__(Sam)
    torch.nn.Module.__init__(sam)
    sam.image_encoder = torch.nn.Identity()
    sam.image_encoder.img_size = 1024  # type: ignore[assignment]  # all that is asked of it
    sam.register_buffer("pixel_mean", torch.tensor([123.675, 116.28, 103.53]).view(-1, 1, 1))
    sam.register_buffer("pixel_std", torch.tensor([58.395, 57.12, 57.375]).view(-1, 1, 1))
    found = SAM.to_input(SAM.to_uint8(image))
    np.testing.assert_allclose(found, sam.preprocess(large), atol=1e-5)
    # From the padding's own value, to be sure that it is padded after normalising.
    if shape[0] != shape[1]:
        assert (found[..., -1, -1] == 0).all()


@at_shapes
def test_sam_prompts(shape: tuple[int, int]) -> None:
    library, frame = ResizeLongestSide(1024), SAM.make_frame(shape)
    np.testing.assert_allclose(frame.box_to_input(BOX), library.apply_boxes(BOX[None], shape)[0])
    points = BOX.reshape(2, 2)
    np.testing.assert_allclose(frame.points_to_input(points), library.apply_coords(points, shape))


@at_shapes
def test_sam_masks(shape: tuple[int, int]) -> None:
    h, w = ResizeLongestSide.get_preprocess_shape(*shape, 1024)
    large = F.interpolate(logits(0)[None], (1024, 1024), mode="bilinear", align_corners=False)
    small = F.interpolate(large[..., :h, :w], shape, mode="bilinear", align_corners=False)
    check_masks(SAM, shape, small[0], 0.0)


# MedSAM.


def medsam_volume(image: Array) -> Array:
    """Clip to percentiles of all voxels that are not 0, min-max over the volume, 0 stays 0."""
    low, high = np.percentile(image[image != 0], 0.5), np.percentile(image[image != 0], 99.5)
    clipped = np.clip(image, low, high)
    scaled = (clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255.0
    scaled[image == 0] = 0
    return scaled.astype(np.uint8)


@pytest.mark.parametrize("kind", ["positive", "z-scored"])
@pytest.mark.parametrize("family", [MEDSAM, LITEMEDSAM], ids=lambda family: family.id)
def test_medsam_intensities(family: Preprocessing, kind: str) -> None:
    image = volume((181, 217), kind).astype(np.float64)
    window = percentile_window(image)
    expected = medsam_volume(image)
    for pixels, there in zip(image, expected, strict=True):
        difference = family.to_uint8(pixels, window).astype(int) - there
        assert np.abs(difference).max() <= 1
        assert (difference != 0).mean() < 1e-4  # one grey value, where rounding decides
    if kind == "z-scored":
        # Percentiles over values above 0, as in later code of theirs, give another picture.
        above = np.percentile(image[image > 0], 0.5)
        assert above - window.low > 0.5


@at_shapes
def test_medsam_input(shape: tuple[int, int]) -> None:
    grey = medsam_volume(volume(shape, "positive"))[0]
    rgb = np.repeat(grey[..., None], 3, axis=2)
    large = transform.resize(
        rgb, (1024, 1024), order=3, preserve_range=True, anti_aliasing=True
    ).astype(np.uint8)
    unit = (large - large.min()) / np.clip(large.max() - large.min(), 1e-8, None)
    expected = torch.tensor(unit).float().permute(2, 0, 1)[None]
    np.testing.assert_allclose(MEDSAM.to_input(grey), expected, atol=1e-6)


@at_shapes
def test_medsam_boxes(shape: tuple[int, int]) -> None:
    height, width = shape
    expected = BOX / np.array([width, height, width, height]) * 1024
    np.testing.assert_allclose(MEDSAM.make_frame(shape).box_to_input(BOX), expected)


@at_shapes
def test_medsam_masks(shape: tuple[int, int]) -> None:
    """The sigmoid is interpolated, straight to the slice, and cut at 0.5."""
    expected = F.interpolate(
        torch.sigmoid(logits(0))[None], shape, mode="bilinear", align_corners=False
    )
    check_masks(MEDSAM, shape, expected[0], 0.5)
    of_logits = F.interpolate(logits(0)[None], shape, mode="bilinear", align_corners=False)[0] > 0
    found = MEDSAM.make_frame(shape).logits_to_masks(logits(0).numpy())
    both = 2 * (found & of_logits.numpy()).sum() / (found.sum() + of_logits.sum())
    if min(shape) > 64:  # of smaller slices, each pixel lies in the middle of alike ones
        assert both < 0.985, "interpolated logits give the same masks: the test tells nothing"


# LiteMedSAM.


@at_shapes
def test_litemedsam_input(shape: tuple[int, int]) -> None:
    grey = medsam_volume(volume(shape, "positive"))[0]
    rgb = np.repeat(grey[..., None], 3, axis=2)
    scale = 256 / max(shape)
    h, w = int(shape[0] * scale + 0.5), int(shape[1] * scale + 0.5)
    small = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA)
    unit = (small - small.min()) / np.clip(small.max() - small.min(), 1e-8, None)
    padded = np.pad(unit, ((0, 256 - h), (0, 256 - w), (0, 0)))
    found = LITEMEDSAM.to_input(grey)[0].transpose(1, 2, 0)
    np.testing.assert_allclose(found, padded, atol=1.01 / 255)  # OpenCV rounds halves otherwise
    assert np.abs(found - padded).mean() < 1e-3


@at_shapes
def test_litemedsam_boxes_and_masks(shape: tuple[int, int]) -> None:
    """Its code interpolates logits, takes their sigmoid, and cuts at 0.5: logits cut at 0."""
    frame, scale = LITEMEDSAM.make_frame(shape), 256 / max(shape)
    np.testing.assert_allclose(frame.box_to_input(BOX), BOX * scale)
    h, w = int(shape[0] * scale + 0.5), int(shape[1] * scale + 0.5)
    large = F.interpolate(logits(0)[None, :, :h, :w], shape, mode="bilinear", align_corners=False)
    check_masks(LITEMEDSAM, shape, torch.sigmoid(large[0]), 0.5)


# The starter: it was trained on made-up slices, boxes and points in the pixels of its input.


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_starter_prompts_are_pixels_of_its_input(side: int) -> None:
    step = 256 // side
    mask = np.zeros((side, side), bool)
    mask[3:9, 5:20] = True
    rows, columns = np.nonzero(mask.repeat(step, axis=0).repeat(step, axis=1))
    expected = [columns.min(), rows.min(), columns.max(), rows.max()]
    frame = STARTER.make_frame((side, side))
    np.testing.assert_array_equal(frame.box_to_input([5, 3, 19, 8]), expected)
    middle = step / 2 - 0.5
    np.testing.assert_allclose(
        frame.points_to_input([[5, 3]]), [[5 * step + middle, 3 * step + middle]]
    )

"""Pictures of a slice with its masks and prompts, in true proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_samri.atomic import replacing
from napari_samri.errors import InputError
from napari_samri.filenames import has_suffix
from napari_samri.geometry import finite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.prompts import PromptSet
    from napari_samri.segment import SliceMask

    BoolArray = NDArray[np.bool_]
    RGB = NDArray[np.uint8]

# Okabe and Ito's palette, which colour-blind people can tell apart.
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
BOX_COLOUR = (255, 255, 255)
POINT_COLOURS = {True: (0, 230, 0), False: (255, 40, 40)}
FILL = 0.35
MIN_SIDE_PX = 640


def picture(volume: Volume, answers: Sequence[SliceMask]) -> Image.Image:
    """Draw one plane with masks (filled, outlined) and prompts on it.

    Parameters
    ----------
    volume : Volume
    answers : sequence of SliceMask
        At least one; all on the same plane.
    """
    plane = answers[0].plane
    pixels = plane.extract(volume)
    height, width, scale = _canvas(volume, plane.pixel_axes, pixels.shape)
    canvas = Image.fromarray(_grey(pixels)).resize((width, height), Image.Resampling.BICUBIC)
    rgb = np.repeat(np.asarray(canvas)[..., None], 3, axis=2)
    for answer in answers:
        colour = COLOURS[(answer.request.label - 1) % len(COLOURS)]
        rgb = _blend(rgb, _enlarged(answer.mask, (height, width)), colour)
    image = Image.fromarray(rgb)
    for answer in answers:
        _draw_prompts(ImageDraw.Draw(image), answer.prompts, scale)
    return image


def save_picture(path: Path, image: Image.Image) -> None:
    """Write a PNG, whole or not at all.

    Raises
    ------
    InputError
        If the name does not end in .png.
    StoreError
        If it cannot be written.
    """
    if not has_suffix(path, [".png"]):
        message = f"{path}: pictures are saved as PNG; expected a name ending in .png."
        raise InputError(message)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG")


def _canvas(
    volume: Volume, axes: tuple[int, int], shape: tuple[int, ...]
) -> tuple[int, int, tuple[float, float]]:
    """Return height, width, and canvas pixels per slice pixel along (x, y)."""
    spacing = np.array([volume.spacing_mm[axis] for axis in axes])
    extent = spacing * shape
    per_mm = max(MIN_SIDE_PX / extent.max(), 1 / spacing.min() if extent.max() < 4000 else 0)
    height, width = (max(1, round(size * per_mm)) for size in extent)
    return height, width, (width / shape[1], height / shape[0])


def _grey(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    values = finite(pixels).astype(np.float32)
    low, high = np.percentile(values, (0.5, 99.5))
    return (np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def _enlarged(mask: BoolArray, shape: tuple[int, int]) -> BoolArray:
    rows = (np.arange(shape[0]) * mask.shape[0]) // shape[0]
    columns = (np.arange(shape[1]) * mask.shape[1]) // shape[1]
    return mask[rows[:, None], columns[None, :]]


def _blend(rgb: RGB, mask: BoolArray, colour: tuple[int, int, int]) -> RGB:
    result = rgb.astype(np.float32)
    result[mask] = (1 - FILL) * result[mask] + FILL * np.array(colour, np.float32)
    result[mask & ~ndimage.binary_erosion(mask, iterations=2)] = colour
    return result.astype(np.uint8)


def _draw_prompts(
    draw: ImageDraw.ImageDraw, prompts: PromptSet, scale: tuple[float, float]
) -> None:
    sx, sy = scale
    for box in prompts.boxes:
        # From the outer edge of the first pixel to that of the last.
        corners = (box.x0 * sx, box.y0 * sy, (box.x1 + 1) * sx, (box.y1 + 1) * sy)
        draw.rectangle(corners, outline=BOX_COLOUR, width=2)
    for point in prompts.points:
        x, y, r = (point.x + 0.5) * sx, (point.y + 0.5) * sy, 6
        draw.ellipse(
            (x - r, y - r, x + r, y + r),
            fill=POINT_COLOURS[point.positive],
            outline=(0, 0, 0),
        )

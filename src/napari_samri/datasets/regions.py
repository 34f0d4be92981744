"""Slices and the labels on them that are worth training on.

Each voxel is looked at a fixed number of times, whatever the number of labels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets.hashing import image_hash, labels_hash
from napari_samri.datasets.manifest import Region, SliceEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_samri.datasets.rules import Rules

    LabelArray = NDArray[np.uint16]

EMPTY = "slices without labels"
CONSTANT = "slices of one grey value, which cannot be normalised"
SMALL = "labels on a slice with too few pixels"
SMALL_SHARE = "labels on a slice that are much smaller than on another slice"
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Chosen:
    """The slices that are kept of a volume.

    Parameters
    ----------
    slices : tuple of SliceEntry
        By ascending index.
    left_out : Counter
        What was not kept, by reason.
    """

    slices: tuple[SliceEntry, ...]
    left_out: Counter[str]


def choose_slices(image: NDArray[Any], labels: LabelArray, axis: int, rules: Rules) -> Chosen:
    """Choose the slices across an axis, and the labels on them.

    Parameters
    ----------
    image : array (slices, rows, columns)
        In display order.
    labels : uint16 array (slices, rows, columns)
    axis : int
        0, 1 or 2.
    rules : Rules
    """
    pictures, masks = np.moveaxis(image, axis, 0), np.moveaxis(labels, axis, 0)
    areas = [_areas(mask) for mask in masks]
    largest = _largest(areas)
    left_out: Counter[str] = Counter()
    slices = []
    for index, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        if not areas[index]:
            left_out[EMPTY] += 1
        elif picture.min() == picture.max():
            left_out[CONSTANT] += 1
        elif kept := _kept(areas[index], largest, rules, left_out):
            regions = _regions(mask, kept)
            slices.append(SliceEntry(index, image_hash(picture), labels_hash(mask), regions))
    return Chosen(tuple(slices), left_out)


def _areas(mask: LabelArray) -> dict[int, int]:
    """Return the pixels of each label on a slice, without background."""
    counts = np.bincount(mask.ravel())
    return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}


def _largest(areas: list[dict[int, int]]) -> dict[int, int]:
    result: dict[int, int] = {}
    for found in areas:
        for label, pixels in found.items():
            result[label] = max(pixels, result.get(label, 0))
    return result


def _kept(
    areas: Mapping[int, int], largest: Mapping[int, int], rules: Rules, left_out: Counter[str]
) -> dict[int, int]:
    """Return the labels of a slice that are large enough; count the others."""
    kept = {}
    for label, pixels in areas.items():
        if pixels < rules.min_pixels:
            left_out[SMALL] += 1
        elif pixels / largest[label] < rules.min_share:
            left_out[SMALL_SHARE] += 1
        else:
            kept[label] = pixels
    return kept


def _regions(mask: LabelArray, kept: Mapping[int, int]) -> tuple[Region, ...]:
    from scipy import ndimage

    places = ndimage.find_objects(mask, max_label=max(kept))
    return tuple(
        _region(mask, label, pixels, places[label - 1]) for label, pixels in sorted(kept.items())
    )


def _region(mask: LabelArray, label: int, pixels: int, place: tuple[slice, slice]) -> Region:
    from scipy import ndimage

    rows, columns = place
    _, components = ndimage.label(mask[place] == label, structure=_EIGHT_NEIGHBOURS)
    box = (columns.start, rows.start, columns.stop - 1, rows.stop - 1)
    return Region(label, pixels, box, int(components))

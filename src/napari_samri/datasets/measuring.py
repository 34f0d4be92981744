"""The slices of a study, and the labels on them, that are worth training on, with their hashes.

Each voxel is looked at a fixed number of times, whatever the number of labels. Equal slices have
equal hashes in files of any kind.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets.loading import load_study
from napari_samri.datasets.manifest import Region, SliceEntry, Study
from napari_samri.errors import InputError
from napari_samri.io import load_volume

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.datasets.entries import Entry
    from napari_samri.datasets.rules import Rules
    from napari_samri.geometry import Volume

    LabelArray = NDArray[np.uint16]


class Measurer:
    """Reads studies one after the other.

    Parameters
    ----------
    rules : Rules
    max_voxels : int, optional
        Read images of up to this many voxels; by default up to 2 GiB.
    """

    def __init__(self, rules: Rules, max_voxels: int | None = None) -> None:
        self.rules = rules
        self._images, self._labels = _LastRead(max_voxels), _LastRead(max_voxels)

    def measure(self, entry: Entry, split: str) -> tuple[Study, Counter[str]]:
        """Read an image and its labels and choose the slices to keep.

        Parameters
        ----------
        entry : Entry
        split : str

        Returns
        -------
        Study
            With at least one slice.
        Counter
            What was left out of it, by reason.

        Raises
        ------
        InputError, GeometryError
            If a file cannot be read, the two do not fit together, or nothing is kept.
        """
        image, masks = load_study(entry.root, entry, self._images.read, self._labels.read)
        axis = self.rules.axis
        if axis is None:
            axis = int(np.argmin(image.spatial_shape))
        labelled = masks if entry.labels else None
        chosen = choose_slices(image.spatial(), labelled, axis, self.rules)
        if not chosen.slices:
            why = _nothing(labelled is None or bool(masks.any()), chosen.left_out)
            message = f"{entry.image}, with {entry.labels or 'no labels'}: {why}"
            raise InputError(message)
        study = Study(
            dataset=entry.dataset,
            patient=entry.patient,
            split=split,
            image=entry.image,
            labels=entry.labels,
            axis=axis,
            shape=image.spatial_shape,
            spacing_mm=image.spacing_mm,
            slices=chosen.slices,
            channel=entry.channel if self._images.is_4d else None,
            classes=entry.classes,
        )
        return study, chosen.left_out


class _LastRead:
    """The last volume that was read: channels share labels, and label files an image."""

    def __init__(self, max_voxels: int | None) -> None:
        self._max_voxels = max_voxels
        self._path: Path | None = None
        self._volume: Volume | None = None

    @property
    def is_4d(self) -> bool:
        """Whether it has several channels or time points."""
        return self._volume is not None and self._volume.times is not None

    def read(self, path: Path) -> Volume:
        if self._volume is None or path != self._path:
            self._volume = None  # before the next one, so that the memory holds one of them
            self._volume = load_volume(path, max_voxels=self._max_voxels)
            self._path = path
        return self._volume


def _nothing(labelled: bool, left_out: Counter[str]) -> str:
    if not labelled:
        return "the labels are empty: all voxels are 0; expected at least one labelled slice."
    reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    return f"no slice is kept ({reasons}). Lower the thresholds, or remove the study."


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


def choose_slices(
    image: NDArray[Any], labels: LabelArray | None, axis: int, rules: Rules
) -> Chosen:
    """Choose the slices across an axis, and the labels on them.

    Without labels, all slices are kept but those of one grey value.

    Parameters
    ----------
    image : array (slices, rows, columns)
        In display order.
    labels : uint16 array (slices, rows, columns) or None
    axis : int
        0, 1 or 2.
    rules : Rules
    """
    if labels is None:
        return _unlabelled(np.moveaxis(image, axis, 0))
    images, masks = np.moveaxis(image, axis, 0), np.moveaxis(labels, axis, 0)
    areas = [_areas(mask) for mask in masks]
    largest = _largest(areas)
    left_out: Counter[str] = Counter()
    slices = []
    for index, (pixels, mask) in enumerate(zip(images, masks, strict=True)):
        if not areas[index]:
            left_out[EMPTY] += 1
        elif pixels.min() == pixels.max():
            left_out[CONSTANT] += 1
        elif kept := _kept(areas[index], largest, rules, left_out):
            regions = _regions(mask, kept)
            slices.append(SliceEntry(index, image_hash(pixels), labels_hash(mask), regions))
    return Chosen(tuple(slices), left_out)


def _unlabelled(images: NDArray[Any]) -> Chosen:
    kept = tuple(
        SliceEntry(index, image_hash(pixels), "", ())
        for index, pixels in enumerate(images)
        if pixels.min() < pixels.max()
    )
    return Chosen(kept, +Counter({CONSTANT: len(images) - len(kept)}))


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


HASH_DIGITS = 16


def image_hash(pixels: NDArray[Any]) -> str:
    """Return the hash of a slice's grey values.

    The first 16 hexadecimal digits of the SHA-256 over the shape as ``ROWSxCOLUMNS``, a zero
    byte, and the values in C order as little-endian float64: a slice has one hash,
    whether its file stores it as int16 or as float32.

    Parameters
    ----------
    pixels : array (rows, columns)
        In display order; finite.
    """
    return _hash(np.asarray(pixels, dtype="<f8") + 0.0)  # of minus zero, plus zero


def labels_hash(pixels: NDArray[Any]) -> str:
    """Return the hash of a slice's labels: as `image_hash`, over little-endian uint16.

    Parameters
    ----------
    pixels : integer array (rows, columns)
        0 to 65535, in display order.
    """
    return _hash(np.asarray(pixels, dtype="<u2"))


def _hash(canonical: NDArray[Any]) -> str:
    rows, columns = canonical.shape
    digest = hashlib.sha256(f"{rows}x{columns}\0".encode())
    digest.update(np.ascontiguousarray(canonical).data)
    return digest.hexdigest()[:HASH_DIGITS]

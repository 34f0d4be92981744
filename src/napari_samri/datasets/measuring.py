"""From two files to the slices of a study that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samri.datasets.loading import load_study
from napari_samri.datasets.manifest import Study
from napari_samri.datasets.regions import choose_slices
from napari_samri.errors import InputError
from napari_samri.io import load_volume

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from napari_samri.datasets.entries import Entry
    from napari_samri.datasets.rules import Rules
    from napari_samri.geometry import Volume


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
        chosen = choose_slices(image.spatial(), masks, axis, self.rules)
        if not chosen.slices:
            why = _nothing(bool(masks.any()), chosen.left_out)
            message = f"{entry.image}, with {entry.labels}: {why}"
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
    return f"no slice is kept ({reasons}). Lower the thresholds, or leave the study away."

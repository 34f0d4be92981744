"""Rows made ready for the encoder: volumes read once, slices cut, mapped and resized."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets import image_hash, labels_hash, load_study, root_of
from napari_samri.errors import InputError, InputWarning
from napari_samri.geometry import (
    Plane,
    image_to_low_res,
    labels_to_low_res,
    percentile_window,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.datasets import Manifest, SliceEntry, Study
    from napari_samri.embeddings.bank import PartPlan
    from napari_samri.geometry import Volume, Window
    from napari_samri.work.encoder import BankEncoder

    Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ReadyRow:
    """A row that can be encoded.

    Parameters
    ----------
    row : int
        Of the part.
    input_image : torch.Tensor or None
        (1, C, S, S); None if its embedding is known already.
    pictures : mapping of str to array
        ``labels`` and ``thumb``, (L, L).
    """

    row: int
    input_image: Any
    pictures: Mapping[str, Array]


@dataclass(frozen=True)
class UnreadableStudy:
    """A study whose rows have to be left out, and why."""

    study: Study
    text: str


class RowReader:
    """Reads rows of a part; keeps the last study, because rows of one follow each other.

    Parameters
    ----------
    plan : PartPlan
    roots : mapping of str to pathlib.Path
        Folder of each data set.
    encoder : BankEncoder
    """

    def __init__(self, plan: PartPlan, roots: Mapping[str, Path], encoder: BankEncoder) -> None:
        self._plan = plan
        self._roots = roots
        self._encoder = encoder
        self._open: tuple[Study, _OpenStudy | UnreadableStudy] | None = None

    def read(
        self, rows: Iterable[int], known: frozenset[int] = frozenset()
    ) -> Iterator[ReadyRow | UnreadableStudy]:
        """Yield rows in their order; an unreadable study once, in place of its first row.

        Those in `known` come without an input image.
        """
        for row in rows:
            study, entry = self._plan.slice_of(row)
            fresh = self._open is None or self._open[0] is not study
            opened = self._opened(study)
            if isinstance(opened, UnreadableStudy):
                if fresh:
                    yield opened
                continue
            try:
                yield self._ready(row, entry, opened, encode=row not in known)
            except InputError as error:
                unreadable = UnreadableStudy(study, str(error))
                self._open = (study, unreadable)
                yield unreadable

    def _opened(self, study: Study) -> _OpenStudy | UnreadableStudy:
        if self._open is None or self._open[0] is not study:
            self._open = None  # not two studies in memory at once
            try:
                opened: _OpenStudy | UnreadableStudy = self._load(study)
            except (InputError, OSError, MemoryError) as error:
                opened = UnreadableStudy(study, str(error) or type(error).__name__)
            self._open = (study, opened)
        return self._open[1]

    def _load(self, study: Study) -> _OpenStudy:
        root = self._roots[study.dataset]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # was said when the study was prepared
            image, labels = load_study(root, study)
        if image.spatial_shape != study.shape:
            message = (
                f"its shape is {image.spatial_shape}, but the manifest says {study.shape}; "
                "prepare the data set anew."
            )
            raise InputError(message)
        windowed = self._encoder.preprocessing.windowed
        return _OpenStudy(image, labels, percentile_window(image.array) if windowed else None)

    def _ready(self, row: int, entry: SliceEntry, opened: _OpenStudy, *, encode: bool) -> ReadyRow:
        study, _ = self._plan.slice_of(row)
        plane = Plane(study.axis, entry.index)
        pixels, labels = plane.extract(opened.image), plane.of(opened.labels)
        if (image_hash(pixels), labels_hash(labels)) != (entry.image_hash, entry.labels_hash):
            message = (
                f"the slice {entry.index} or its labels are not those that were prepared; "
                "prepare the data set anew."
            )
            raise InputError(message)
        turn = self._plan.header.turn
        pixels, labels = turned(pixels, turn), turned(labels, turn)
        preprocessing, frame = self._encoder.preprocessing, self._encoder.frame(pixels.shape)
        image = preprocessing.to_uint8(pixels, opened.window)
        kept = np.where(np.isin(labels, [r.label for r in entry.regions]), labels, 0)
        pictures = {
            "labels": labels_to_low_res(kept, frame, self._plan.header.reduction),
            "thumb": image_to_low_res(image, frame),
        }
        return ReadyRow(row, preprocessing.to_input(image) if encode else None, pictures)


@dataclass(frozen=True, eq=False)
class _OpenStudy:
    image: Volume
    labels: NDArray[np.uint16]
    window: Window | None


def roots_of(manifest: Manifest, path: Path) -> dict[str, Path]:
    """Return the folder of each data set of a manifest that was read from `path`."""
    return {dataset.name: root_of(dataset, path) for dataset in manifest.datasets}

"""Rows made ready for the encoder: volumes read once, slices cut, mapped, looked up and resized."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets import image_hash, labels_hash, load_study, root_of
from napari_samri.embeddings import embedding_key
from napari_samri.errors import InputError, InputWarning
from napari_samri.geometry import (
    Plane,
    image_to_low_res,
    labels_to_low_res,
    percentile_window,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.datasets import Manifest, SliceEntry, Study
    from napari_samri.embeddings import Features, Store
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
    key : str
        Content key of its features.
    thumb : uint8 array (L, L)
    labels : integer array (L, L) or None
        None for a slice without labels.
    features : mapping of str to array or None
        As a store has them; None if they are to be computed.
    input_image : float32 array or None
        (1, C, S, S), for the encoder; None if it is not needed.
    """

    row: int
    key: str
    thumb: NDArray[np.uint8]
    labels: Array | None
    features: Features | None
    input_image: Any = None


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
    stores : sequence of Store
        Asked for the features of each row, before it is made ready for the encoder.
    """

    def __init__(
        self,
        plan: PartPlan,
        roots: Mapping[str, Path],
        encoder: BankEncoder,
        stores: Sequence[Store],
    ) -> None:
        self._plan = plan
        self._roots = roots
        self._encoder = encoder
        self._stores = stores
        self._open: tuple[Study, _OpenStudy | UnreadableStudy] | None = None

    def read(self, rows: Iterable[int]) -> Iterator[ReadyRow | UnreadableStudy]:
        """Yield rows in their order; an unreadable study once, in place of its first row."""
        for row in rows:
            study, entry = self._plan.slice_of(row)
            fresh = self._open is None or self._open[0] is not study
            opened = self._opened(study)
            if isinstance(opened, UnreadableStudy):
                if fresh:
                    yield opened
                continue
            try:
                yield self._ready(row, entry, opened)
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
                "prepare the data set again."
            )
            raise InputError(message)
        windowed = self._encoder.preprocessing.windowed
        window = percentile_window(image.array) if windowed else None
        return _OpenStudy(image, labels, study.axis, window)

    def _ready(self, row: int, entry: SliceEntry, opened: _OpenStudy) -> ReadyRow:
        header, encoder = self._plan.header, self._encoder
        pixels, labels = _checked(entry, opened)
        pixels = turned(pixels, header.turn)
        image = encoder.preprocessing.to_uint8(pixels, opened.window)
        frame = encoder.frame(pixels.shape)
        low = None
        if labels is not None:
            kept = np.isin(labels, [region.label for region in entry.regions])
            labels = turned(np.where(kept, labels, 0), header.turn)
            low = labels_to_low_res(labels, frame, header.reduction)
        key = embedding_key(header.encoder, header.preprocessing, image)
        features = self._stored(key)
        input_image = encoder.preprocessing.to_input(image) if features is None else None
        return ReadyRow(row, key, image_to_low_res(image, frame), low, features, input_image)

    def _stored(self, key: str) -> Features | None:
        found = (store.get(key) for store in self._stores)
        return next((features for features in found if features is not None), None)


def _checked(entry: SliceEntry, opened: _OpenStudy) -> tuple[Array, Array | None]:
    """Return grey values and labels of a slice, which have to be those that were prepared."""
    plane = Plane(opened.axis, entry.index)
    pixels, labels, found = plane.extract(opened.image), None, ""
    if entry.labels_hash:
        labels = plane.of(opened.labels)
        found = labels_hash(labels)
    if (image_hash(pixels), found) != (entry.image_hash, entry.labels_hash):
        message = (
            f"the slice {entry.index} or its labels are not those that were prepared; "
            "prepare the data set again."
        )
        raise InputError(message)
    return pixels, labels


@dataclass(frozen=True, eq=False)
class _OpenStudy:
    image: Volume
    labels: NDArray[np.uint16]
    axis: int
    window: Window | None


def roots_of(manifest: Manifest, path: Path) -> dict[str, Path]:
    """Return the folder of each data set of a manifest that was read from `path`."""
    return {dataset.name: root_of(dataset, path) for dataset in manifest.datasets}

"""Volumes, banks and samples in: what napari asks for files and for File > Open Sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri._napari.banks import bank_layers
from napari_samri._napari.layers import layer_options, volume_name
from napari_samri.embeddings.bank import is_bank
from napari_samri.io import (
    can_read,
    is_dicom_file,
    load_volume,
    make_phantom,
    marked_labels,
    template_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume

    Array = NDArray[Any]
    LayerData = tuple[Array, dict[str, Any], str]
    PathOrPaths = str | list[str]

PERCENTILES = (0.5, 99.5)
SAMPLE_VOXELS = 200_000


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return what opens these paths, or None if one of them is not ours.

    Parameters
    ----------
    path : str or list of str
        A list is what napari gives for files that are to be opened as a stack.
    """
    sources = _sources(path)
    if sources and all(map(is_bank, sources)):
        return read_banks
    return read_layers if sources and all(map(can_read, sources)) else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Return the data, options and type of one layer per volume.

    Raises
    ------
    InputError, GeometryError
        If a file is damaged, no image, too large, or its geometry makes no sense.
    """
    return [layer_data(load_volume(source)) for source in _sources(path)]


def read_banks(path: PathOrPaths) -> list[LayerData]:
    """Return the data, options and type of two layers per embedding bank.

    Raises
    ------
    InputError
        If a bank was altered, is of another version, or has no rows yet.
    """
    return [layer for source in _sources(path) for layer in bank_layers(source)]


def layer_data(volume: Volume) -> LayerData:
    """Return the data, options and type of a volume's layer.

    Labels are a copy, because a volume is read-only and labels are there to be painted on.
    """
    options = layer_options(volume, volume_name(volume))
    labels = marked_labels(volume)
    if labels is not None:
        return np.array(labels.array, order="C"), options, "labels"
    options["contrast_limits"] = contrast_limits(volume.array)
    return volume.array, options, "image"


def contrast_limits(array: Array) -> tuple[float, float]:
    """Return the grey values to show as black and white: two different, finite numbers.

    Percentiles of about `SAMPLE_VOXELS` voxels on a coarser grid. Where these are one value,
    as in a mask of a small object, all voxels count; a constant image gets a range of 1.
    """
    step = max(1, round((array.size / SAMPLE_VOXELS) ** (1 / array.ndim)))
    sample = array[(slice(None, None, step),) * array.ndim].astype(np.float64)
    low, high = np.percentile(sample, PERCENTILES).tolist()
    if low == high:
        low, high = float(array.min()), float(array.max())
    return (low, high) if low < high else (low, low + 1)


def source_of(path: Path | str) -> Path:
    """Return what to load for a file: a DICOM file stands for its folder."""
    file = Path(path)
    return file.parent if is_dicom_file(file) else file


def _sources(path: PathOrPaths) -> list[Path]:
    """Return the files and folders to load; of a list, DICOM files stand for their folder."""
    if isinstance(path, str):
        return [Path(path)]
    return list(dict.fromkeys(map(source_of, path)))


def open_template() -> list[LayerData]:
    """Return the layer of the MNI152 T1 template.

    Raises
    ------
    InputError
        If nilearn, which carries the template, is not installed.
    """
    data, options, kind = layer_data(load_volume(template_file()))
    return [(data, options | {"name": "MNI152 T1"}, kind)]


def open_phantom() -> list[LayerData]:
    """Return the layers of a made-up head and of its true labels."""
    image, labels = make_phantom()
    options = layer_options(image, "phantom")
    options["contrast_limits"] = contrast_limits(image.array)
    return [
        (image.array, options, "image"),
        (
            np.array(labels.array, order="C"),
            # Hidden at first: people come to draw on the image.
            layer_options(labels, "phantom_labels") | {"visible": False},
            "labels",
        ),
    ]

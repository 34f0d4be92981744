"""Labels out: on the grid of the image that they were drawn on, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_samri._napari.layers import Reference, reference_of
from napari_samri._napari.moved import check_not_moved
from napari_samri.errors import InputError, OtherGridError, StoreError
from napari_samri.io import save_labels


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer as NIfTI and return the file's path.

    Parameters
    ----------
    path : str
        Ending in ``.nii`` or ``.nii.gz``.
    data : integer array
        In display order.
    attributes : dict
        The layer's, as napari gives them; ``metadata`` holds the reference.

    Raises
    ------
    StoreError
        If the layer cannot be saved on its image's grid, was moved away from it, or the file
        cannot be written. What was there before is still there.
    """
    try:
        labels = _array(data, attributes)
        volume = reference_to_save_on(attributes).volume(labels)
        check_not_moved(attributes, labels.shape)
        save_labels(path, labels, volume)
    except (InputError, OtherGridError) as error:
        # As a ValueError, napari would take it for "there is no writer", and say nothing of it.
        raise StoreError(str(error)) from error
    return [path]


def reference_to_save_on(attributes: dict[str, Any]) -> Reference:
    """Return the grid that a layer's labels belong on.

    Raises
    ------
    InputError
        If the layer has none, or one of an image without a geometry of its own: a file with
        a made-up affine would look right and lie elsewhere.
    """
    reference = reference_of(attributes.get("metadata") or {})
    if reference is None or not (reference.grid.path or reference.grid.header):
        message = (
            f"the labels '{attributes.get('name', '')}' do not say which image they were drawn on, "
            "so where they lie is unknown; nothing was saved. Choose the reference image: open "
            "it with SAMRI, and draw on labels that were made for it."
        )
        raise InputError(message)
    return reference


def _array(data: Any, attributes: dict[str, Any]) -> np.ndarray[Any, np.dtype[Any]]:
    if attributes.get("multiscale"):
        message = (
            f"the labels '{attributes.get('name', '')}' are multiscale; expected a single "
            "resolution, that of their image."
        )
        raise InputError(message)
    return np.asarray(data)

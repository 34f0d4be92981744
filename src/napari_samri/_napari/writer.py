"""Labels out: on the grid of the image that they were drawn on, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari import current_viewer
from napari.layers import Image, Labels

from napari_samri._napari.layers import Reference, reference_of
from napari_samri._napari.placing import PLACE_KEY, TRANSFORMS, place_in_mm
from napari_samri.errors import InputError, OtherGridError, StoreError
from napari_samri.geometry import Placement
from napari_samri.io import save_labels

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def check_not_moved(attributes: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Raise if labels were moved in the viewer, away from their image.

    They belong where they lay when their file was read, or where their image is: as a session
    saw it last, or as the viewer in front shows it.

    Parameters
    ----------
    attributes : dict
        The layer's, as napari gives them to writers.
    shape : tuple of int
        Of its array.

    Raises
    ------
    OtherGridError
        The message has both places in numbers.
    """
    metadata = attributes.get("metadata") or {}
    reference = reference_of(metadata)
    if reference is None or reference.shape != tuple(shape):
        return
    options = {name: attributes[name] for name in TRANSFORMS if name in attributes}
    place = place_in_mm(Labels(np.zeros((1,) * len(shape), np.uint8), **options), shape)
    if any(place.is_on(home) for home in _homes(reference, metadata)):
        return
    home = reference.placement_as_read
    message = (
        f"the labels '{attributes.get('name', '')}' were moved in the viewer, and a file on the "
        f"grid of their image would not show them there: they have {place}; expected {home}, as "
        f"when they were read, or the place of their image; found up to {home.apart(place):.3g} "
        "mm from it. Nothing was saved. Reset the layer's transform; or, if they belong where "
        "they are now, choose them beside 'Labels' in the Segment widget and resample them onto "
        "the image."
    )
    raise OtherGridError(message)


def _homes(reference: Reference, metadata: dict[str, Any]) -> Iterator[Placement]:
    """Yield where labels may lie that are saved on a reference's grid."""
    yield reference.placement_as_read
    known = metadata.get(PLACE_KEY)
    if isinstance(known, Placement):
        yield known
    viewer = current_viewer()
    for layer in viewer.layers if viewer is not None else ():
        other = reference_of(layer.metadata) if isinstance(layer, Image) else None
        if other is not None and other.placement.is_on(reference.placement):
            yield place_in_mm(layer)

"""Labels that somebody moved in the viewer: they are not saved as if they lay where they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari import current_viewer
from napari.layers import Image, Labels

from napari_samri._napari.layers import reference_of
from napari_samri._napari.placing import PLACE_KEY, TRANSFORMS, place_in_mm
from napari_samri.errors import OtherGridError
from napari_samri.geometry import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri._napari.layers import Reference


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

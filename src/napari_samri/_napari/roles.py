"""Which layers are images, and which are labels: one answer for all widgets.

Many tools write labels as floating-point numbers, and a file's name need not say what it holds,
so that labels may be open as an image. Masks predicted on a mask look plausible and mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Labels

from napari_samri._napari.annotation import annotations_of
from napari_samri._napari.banks import is_of_bank
from napari_samri._napari.layers import is_usable, volume_of
from napari_samri._napari.placing import transform_of
from napari_samri.errors import InputError
from napari_samri.io import could_be_labels, label_volume

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

IMAGE_KEY = "samri image"  # of layers that the user says are images
_looked_at: WeakKeyDictionary[Layer, tuple[int, bool]] = WeakKeyDictionary()


def may_be_labels(layer: Layer) -> bool:
    """Tell whether an image layer holds what may well be labels: few whole numbers, 0 to 65535.

    Not if the user says that it is an image, and not if it holds one value only.
    """
    if not isinstance(layer, Image) or layer.metadata.get(IMAGE_KEY) or is_of_bank(layer):
        return False
    known = _looked_at.get(layer)
    if known is None or known[0] != id(layer.data):
        known = _looked_at[layer] = (id(layer.data), _looks_like_labels(layer))
    return known[1]


def use_as_image(layer: Image) -> None:
    """Mark a layer as an image, whatever values it holds."""
    layer.metadata[IMAGE_KEY] = True


def images_of(viewer: ViewerModel) -> list[Image]:
    """Return the layers that are images to be segmented, embedded and trained on."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image)
        and not is_of_bank(layer)
        and is_usable(layer)
        and not may_be_labels(layer)
    ]


def labels_of(viewer: ViewerModel) -> list[Labels | Image]:
    """Return the layers that are labels, also those that are open as images."""
    previews = [each.canvas.preview for each in annotations_of(viewer).values()]
    return [
        layer
        for layer in viewer.layers
        if (isinstance(layer, Labels) or may_be_labels(layer))
        and not is_of_bank(layer)
        and all(layer is not preview for preview in previews)
    ]


def as_labels_layer(viewer: ViewerModel, layer: Labels | Image) -> Labels:
    """Return a labels layer of a layer that is labels; one that is open as an image is replaced.

    Raises
    ------
    InputError
        If it holds something else than whole numbers from 0 to 65535.
    """
    if isinstance(layer, Labels):
        return layer
    labels = np.array(label_volume(volume_of(layer)).array, np.uint16)
    place = viewer.layers.index(layer)
    viewer.layers.remove(layer)
    options: dict[str, Any] = transform_of(layer) | {"axis_labels": layer.axis_labels}
    made = Labels(labels, name=layer.name, metadata=dict(layer.metadata), **options)
    viewer.layers.insert(place, made)
    return made


def doubt(layer: Image) -> InputError:
    """Return why a layer is not taken for an image without asking."""
    data = np.asarray(layer.data)
    message = (
        f"'{layer.name}' holds only a few whole numbers, {data.min():g} to {data.max():g}, as "
        "labels do, so it is not taken for an image by itself. If it holds labels, choose it "
        "beside 'Labels', on its image; else press the button that says so."
    )
    return InputError(message)


def _looks_like_labels(layer: Image) -> bool:
    data = layer.data
    if layer.multiscale or layer.rgb or not isinstance(data, np.ndarray) or not is_usable(layer):
        return False
    return could_be_labels(data) and bool(data.min() != data.max())

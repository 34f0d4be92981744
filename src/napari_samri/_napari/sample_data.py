"""Samples for File > Open Sample: a real template, and a made-up volume that is always there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samri._napari.layers import layer_options
from napari_samri._napari.reader import contrast_limits, layer_data
from napari_samri.io import load_volume

if TYPE_CHECKING:
    from napari_samri._napari.reader import LayerData


def open_template() -> list[LayerData]:
    """Return the layer of the MNI152 T1 template.

    Raises
    ------
    InputError
        If nilearn, which carries the template, is not installed.
    """
    from napari_samri.io import template_file

    data, options, kind = layer_data(load_volume(template_file()))
    return [(data, options | {"name": "MNI152 T1"}, kind)]


def open_phantom() -> list[LayerData]:
    """Return the layers of a made-up head and of its true labels."""
    from napari_samri.io import make_phantom

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

"""``python -m napari_samri._napari.show IMAGE LABELS``: look at a volume and its labels."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_samri._napari.layers import layer_options, volume_name
from napari_samri._napari.placing import labels_on_image
from napari_samri.errors import InputWarning, SamriError
from napari_samri.io import load_labels, load_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel


def add_layers(viewer: ViewerModel, image: Path, labels: Path) -> None:
    """Add a volume and its labels, on the slice that holds most of the labels.

    Labels on another grid are resampled onto the volume's by nearest neighbours; an InputWarning
    says what became of them.

    Raises
    ------
    InputError, GeometryError
        If a file cannot be read, or the labels have other axes than the volume.
    """
    volume, marked = load_volume(image), load_labels(labels)
    shown = viewer.add_image(volume.array, **layer_options(volume, volume_name(volume)))
    layer = viewer.add_labels(np.array(marked.array), **layer_options(marked, volume_name(marked)))
    layer, became = labels_on_image(viewer, shown, layer)
    if became:
        warnings.warn(became, InputWarning, stacklevel=2)
    counts = (layer.data > 0).reshape(len(layer.data), -1).sum(axis=1)
    viewer.dims.set_point(0, float(counts.argmax()) * layer.scale[0])


def main(arguments: Sequence[str]) -> int:
    """Open a viewer and stay until it is closed."""
    import napari

    image, labels = (Path(argument) for argument in arguments)
    viewer = napari.Viewer(title="napari-samri")
    try:
        add_layers(viewer, image, labels)
    except SamriError as error:
        sys.stderr.write(f"{error}\n")
        viewer.close()
        return 1
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

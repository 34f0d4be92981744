"""``python -m napari_samri._napari.show IMAGE LABELS``: look at a volume and its labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_samri._napari.layers import layer_options, volume_name
from napari_samri.io import load_labels, load_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel


def add_layers(viewer: ViewerModel, image: Path, labels: Path) -> None:
    """Add a volume and its labels, on the slice that holds most of the labels."""
    volume, marked = load_volume(image), load_labels(labels)
    viewer.add_image(volume.array, **layer_options(volume, volume_name(volume)))
    layer = viewer.add_labels(np.array(marked.array), **layer_options(marked, volume_name(marked)))
    counts = (marked.array > 0).reshape(len(marked.array), -1).sum(axis=1)
    viewer.dims.set_point(0, float(counts.argmax()) * layer.scale[0])


def main(arguments: Sequence[str]) -> int:
    """Open a viewer and stay until it is closed."""
    import napari

    image, labels = (Path(argument) for argument in arguments)
    viewer = napari.Viewer(title="napari-samri")
    add_layers(viewer, image, labels)
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m napari_samri._napari.show IMAGE LABELS``: look at a volume and its labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.io import load_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from napari_samri.geometry import Volume


def layer_options(volume: Volume, name: str) -> dict[str, Any]:
    """Return the scale, units and axis labels that every layer on a volume has to share."""
    axes = ("slice", "row", "column")[-min(volume.array.ndim, 3) :]
    scale = volume.spacing_mm[-len(axes) :]
    units: tuple[str, ...] = ("mm",) * len(axes)
    if volume.times is not None:
        axes, scale, units = ("time", *axes), (1.0, *scale), ("pixel", *units)
    return {"name": name, "scale": scale, "units": units, "axis_labels": axes}


def add_layers(viewer: ViewerModel, image: Path, labels: Path) -> None:
    """Add a volume and its labels, on the slice that holds most of the labels."""
    volume, marked = load_volume(image), load_volume(labels)
    viewer.add_image(volume.array, **layer_options(volume, image.name.split(".")[0]))
    layer = viewer.add_labels(marked.array, **layer_options(marked, labels.name.split(".")[0]))
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

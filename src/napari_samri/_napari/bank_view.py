"""A bank shown in a viewer: its layers, and where the row in view is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_samri._napari.bank_reading import METADATA_KEY, describe_row
from napari_samri._napari.connections import Connections
from napari_samri._napari.planes import data_at

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_samri._napari.bank_reading import LayerData


def show_bank(viewer: ViewerModel, layers: list[LayerData]) -> None:
    """Add the layers of `bank_layers` to a viewer, with a caption for the row in view."""
    (thumbs, thumb_options, _), (labels, label_options, _) = layers
    image = viewer.add_image(thumbs, **thumb_options)
    # What would be painted here is in no file.
    viewer.add_labels(labels, **label_options).editable = False
    viewer.reset_view()
    _Caption(viewer, image)


def is_of_bank(layer: Any) -> bool:
    """Tell whether a layer shows a bank's rows, which lie in no space of millimetres."""
    return METADATA_KEY in layer.metadata


class _Caption:
    """Writes onto the canvas where the row in view is from, until the layer goes."""

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self._connections = Connections()
        # The viewer's events keep this alive.
        self._connections.add(viewer.dims.events.current_step, self._write)
        self._connections.add(viewer.layers.events.removed, self._look)
        self._write()

    def _write(self, *_: object) -> None:
        if self._viewer.dims.ndim < self._image.ndim:
            return  # the layer has gone, of which the viewer tells after its axes have changed
        overlay = _text_overlay(self._viewer)
        row = round(float(data_at(self._viewer, self._image, self._viewer.dims.point)[0]))
        shown = 0 <= row < len(self._image.data)
        overlay.visible = shown and self._image.visible
        if shown:
            overlay.text = describe_row(self._image.metadata[METADATA_KEY], row)

    def _look(self, *_: object) -> None:
        if self._image not in self._viewer.layers:
            self._connections.close()
            _text_overlay(self._viewer).visible = False


def _text_overlay(viewer: ViewerModel) -> Any:
    """Return the text on a viewer's canvas, where each version of napari has it."""
    canvas = getattr(viewer, "canvas", None)
    return viewer.text_overlay if canvas is None else canvas.overlays.text

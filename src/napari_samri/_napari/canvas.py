"""The layers that a session lives in: labels, preview, shapes and points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils import DirectLabelColormap

from napari_samri._napari.layers import AXES, METADATA_KEY, reference_of
from napari_samri._napari.placing import (
    PLACE_KEY,
    is_placed_like,
    place_in_mm,
    place_like,
    transform_of,
)
from napari_samri._napari.prompt_layers import POSITIVE, set_new_items

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Points, Shapes
    from numpy.typing import NDArray

    from napari_samri.geometry import Plane
    from napari_samri.session import LabelTable, Preview

    Array = NDArray[Any]

DRAWN_KEY = "samri drawn on"  # of labels that a session made: its image's reference, or id
PREVIEW_COLOUR = "#ff4fff"  # unlike all colours of new labels, and unlike grey


class Canvas:
    """Makes, fills and removes the layers of a session; computes nothing.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    image : napari.layers.Image
    labels : napari.layers.Labels, optional
        Layer to go on with; a new one if left out.
    """

    def __init__(self, viewer: ViewerModel, image: Image, labels: Labels | None = None) -> None:
        self.viewer = viewer
        self.image = image
        options = _options_like(image)
        self.labels = labels or new_labels(viewer, image)
        self.preview = _new_preview(viewer, image)
        self.shapes: Shapes = viewer.add_shapes(
            None,
            ndim=image.ndim,
            name=f"{image.name} boxes",
            face_color="transparent",
            edge_width=_edge_width(image),
            features=_no_items(),
            **options,
        )
        self.points: Points = viewer.add_points(
            None,
            ndim=image.ndim,
            name=f"{image.name} points",
            size=5,
            canvas_size_limits=(8, 14),
            border_color="white",
            features=_no_items(),
            **options,
        )
        for layer in (self.shapes, self.points):
            set_new_items(layer, POSITIVE, 0)
        self.labels.visible = True
        self._resting: dict[Layer, str] = {}
        self.follow_image()  # labels within the tolerance
        self._painted: Plane | None = None
        self._colours: dict[int | None, Any] = {}

    @property
    def temporary(self) -> tuple[Layer, ...]:
        """The layers that go when the session is closed."""
        return (self.preview, self.shapes, self.points)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that lie where the image does, wherever it is moved."""
        return (self.labels, *self.temporary)

    @property
    def prompts(self) -> tuple[Shapes, Points]:
        """The layers that prompts are drawn on."""
        return (self.shapes, self.points)

    def rest_tools(self, rest: bool) -> None:
        """Switch the drawing tools off while no slice is shown, and on again after it."""
        for layer in self.prompts if rest else ():
            if layer.mode != "pan_zoom":
                self._resting[layer] = layer.mode
                layer.mode = "pan_zoom"
        while self._resting and not rest:
            layer, mode = self._resting.popitem()
            layer.mode = mode

    def follow_image(self) -> tuple[Layer, ...]:
        """Bring all layers to where the image is; return those that were elsewhere."""
        astray = tuple(layer for layer in self.layers if not is_placed_like(layer, self.image))
        for layer in astray:
            place_like(layer, self.image)
        self.labels.metadata[PLACE_KEY] = place_in_mm(self.labels)
        return astray

    def show_preview(self, preview: Preview | None) -> None:
        """Show a mask on its plane, and nothing elsewhere."""
        data = self.preview.data
        if self._painted is not None:
            self._painted.of(data)[:] = 0
        self._painted = preview.request.plane if preview is not None else None
        if preview is not None:
            preview.request.plane.of(data)[:] = preview.mask
        # A layer that is hidden costs nothing while the slices are scrolled.
        self.preview.visible = preview is not None
        redraw(self.preview)

    def show_table(self, table: LabelTable) -> None:
        """Give labels their colours, and select the active one."""
        colours: dict[int | None, Any] = {entry.id: entry.colour for entry in table}
        if colours != self._colours:
            self._colours = colours
            self.labels.colormap = DirectLabelColormap(
                color_dict={None: "gray", 0: "transparent", **colours}
            )
        if self.labels.selected_label != table.active:
            self.labels.selected_label = table.active

    def remove(self) -> None:
        """Remove the temporary layers; labels stay."""
        for layer in self.temporary:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)


def _new_preview(viewer: ViewerModel, image: Image) -> Labels:
    """Add the layer of the mask that is not yet accepted, hidden."""
    colours = {None: "transparent", 0: "transparent", 1: PREVIEW_COLOUR}
    return viewer.add_labels(
        np.zeros(tuple(image.data.shape), np.uint8),
        name=f"{image.name} preview",
        colormap=DirectLabelColormap(color_dict=colours),
        opacity=0.5,
        visible=False,
        **_options_like(image),
    )


def new_labels(viewer: ViewerModel, image: Image) -> Labels:
    """Add an empty labels layer on an image."""
    return viewer.add_labels(
        np.zeros(tuple(image.data.shape), np.uint16),
        name=f"{image.name} labels",
        opacity=0.6,
        **_options_like(image) | {"metadata": _drawn_on(image)},
    )


def _drawn_on(image: Image) -> dict[str, Any]:
    reference = reference_of(image.metadata)
    drawn_on = {DRAWN_KEY: reference or image.unique_id}
    return {METADATA_KEY: reference, **drawn_on} if reference else drawn_on


def labels_drawn_on(viewer: ViewerModel, image: Image) -> Labels | None:
    """Return the newest labels layer that was made for an image, if it is still there."""
    wanted = reference_of(image.metadata) or image.unique_id
    for layer in reversed(viewer.layers):
        if isinstance(layer, Labels) and layer.metadata.get(DRAWN_KEY) == wanted:
            return layer
    return None


def redraw(layer: Labels) -> None:
    """Redraw a layer's data alone, not its thumbnail, highlight or extent."""
    layer.refresh(thumbnail=False, highlight=False, extent=False)


def _edge_width(image: Image) -> float:
    """Return a width in voxels that is thin on every plane, also across thick slices."""
    scale = np.abs(np.asarray(image.scale, float)[-3:])
    return float(np.clip(scale.min() / scale.max(), 0.2, 1))


def _options_like(image: Image) -> dict[str, Any]:
    """Return where an image lies in the world: the same for all layers on it."""
    reference = reference_of(image.metadata)
    options: dict[str, Any] = {
        **transform_of(image),
        "axis_labels": image.axis_labels if reference else _axis_labels(image.ndim),
        "metadata": {METADATA_KEY: reference} if reference else {},
    }
    return options


def _axis_labels(ndim: int) -> tuple[str, ...]:
    return (("time", *AXES) if ndim == 4 else AXES[-min(ndim, 3) :])[-ndim:]


def _no_items() -> dict[str, Any]:
    return {"sign": np.empty(0, object), "axis": np.empty(0, np.int64)}

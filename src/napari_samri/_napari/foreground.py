"""What a viewer shows while an image is annotated: that image, and nothing that covers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from napari.layers import Image, Labels

from napari_samri._napari.layers import data_at, show_plane, shown_plane, viewer_steps
from napari_samri._napari.placing import check_on_grid
from napari_samri.errors import SamriError
from napari_samri.geometry import Plane

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.components import ViewerModel
    from napari.layers import Layer


class Foreground:
    """Brings an image into view and hides other ones, until it is closed.

    Drawing on one image while another one is seen would give masks of something else.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    image : napari.layers.Image
    own : collection of layers
        Layers of the session, which are shown.
    foreign : collection of layers
        Layers of other sessions in the viewer, which are hidden.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        own: Collection[Layer],
        foreign: Collection[Layer] = (),
    ) -> None:
        self.viewer = viewer
        self.image = image
        self._own = (image, *own)
        self._foreign = foreign
        self._seen: WeakSet[Layer] = WeakSet()
        self._hidden: list[Layer] = []
        lost = shown_plane(viewer, image) is None or not image.visible
        image.visible = True
        if self.hide_others() or lost:
            bring_into_view(viewer, image)

    def hide_others(self) -> list[Layer]:
        """Hide layers added since the last call; return them.

        A layer that the user has shown again stays visible.
        """
        new = [layer for layer in self.viewer.layers if layer not in self._seen]
        self._seen.update(new)
        covering = [layer for layer in new if layer.visible and self._covers(layer)]
        for layer in covering:
            layer.visible = False
        self._hidden += covering
        return covering

    def close(self) -> None:
        """Show again what was hidden."""
        for layer in self._hidden:
            if layer in self.viewer.layers:
                layer.visible = True
        self._hidden.clear()

    def _covers(self, layer: Layer) -> bool:
        if any(layer is own for own in self._own):
            return False
        if isinstance(layer, Labels) and not any(layer is other for other in self._foreign):
            return not lies_on(layer, self.image)
        return isinstance(layer, Image) or any(layer is other for other in self._foreign)


def lies_on(labels: Labels, image: Image) -> bool:
    """Tell whether labels lie on an image, voxel by voxel."""
    try:
        check_on_grid(image, labels)
    except SamriError:
        return False
    return True


def bring_into_view(viewer: ViewerModel, image: Image) -> None:
    """Show the middle slice of an image, along the axis in view, in the middle of the canvas."""
    offset = viewer.dims.ndim - image.ndim
    if image.ndim == 2:
        viewer.dims.order = tuple(range(viewer.dims.ndim))
        show_plane(viewer, image, Plane(0, 0))
    else:
        spatial = image.ndim - 3
        hidden = [axis - offset - spatial for axis in viewer.dims.not_displayed]
        axis = next((axis for axis in reversed(hidden) if axis >= 0), 0)
        time = None
        if spatial:
            last = image.data.shape[0] - 1
            point = data_at(viewer, image, viewer.dims.point)[0]
            time = int(np.clip(np.rint(point), 0, last))
        show_plane(viewer, image, Plane(axis, image.data.shape[axis + spatial] // 2, time))
    _centre(viewer, image)


def _centre(viewer: ViewerModel, image: Image) -> None:
    """Fit an image into the canvas; `reset_view` fits all layers, also those that are hidden."""
    viewer.reset_view()
    displayed = list(viewer.dims.displayed)
    offset = viewer.dims.ndim - image.ndim
    corners = image.extent.world / viewer_steps(viewer, image)
    low, high = corners[:, [axis - offset for axis in displayed]]
    everything = viewer.layers.extent.world[:, displayed]
    size, whole = np.maximum(high - low, 1e-9), everything[1] - everything[0]
    camera = camera_of(viewer)
    camera.center = tuple((low + high) / 2)
    camera.zoom *= max(1.0, float((whole / size).min()))


def camera_of(viewer: ViewerModel) -> Any:
    """Return a viewer's camera, which napari 0.9 has in another place than before."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera

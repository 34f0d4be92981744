"""One click on a slice, for an action that needs a place: it does nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri._napari.planes import data_at, shown_plane, to_pixels
from napari_samri.errors import InputError, SamriError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_samri.geometry import Plane

_CLICK_PIXELS = 5  # of the screen: who moves farther drags the picture along


def pick_pixel(
    viewer: ViewerModel,
    image: Image,
    picked: Callable[[Plane, int, int], None],
    missed: Callable[[SamriError], None],
) -> Callable[[], None]:
    """Call ``picked(plane, row, column)`` after the next click on an image.

    Whatever tool is in hand, on whichever layer, rests during that click, and both are called
    when it is over: a tool that is taken then is not used by it.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    image : napari.layers.Image
    picked : callable
    missed : callable
        Called with an InputError instead, if no pixel of a slice of the image was clicked.

    Returns
    -------
    callable
        Waits no more.
    """

    def press(_: Any, event: Any) -> Iterator[None]:
        start = np.asarray(event.pos, float)
        with _tool_at_rest(viewer.layers.selection.active):
            yield
            while event.type == "mouse_move":
                yield
        if np.abs(np.asarray(event.pos, float) - start).max() > _CLICK_PIXELS:
            return
        stop()
        try:
            place = _pixel_at(viewer, image, event.position)
        except SamriError as error:
            missed(error)
        else:
            picked(*place)

    def stop() -> None:
        if press in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(press)

    # Before what other plugins do at a click on the viewer; layers come after all of these.
    viewer.mouse_drag_callbacks.insert(0, press)
    return stop


def _pixel_at(viewer: ViewerModel, image: Image, position: Any) -> tuple[Plane, int, int]:
    plane = shown_plane(viewer, image)
    if plane is None:
        message = (
            f"no slice of '{image.name}' is shown; switch the viewer to 2D, and click on an "
            "object that was committed."
        )
        raise InputError(message)
    x, y = to_pixels([data_at(viewer, image, position)], plane)[0]
    row, column = round(float(y)), round(float(x))
    sizes = (1, *image.data.shape)[-3:]
    height, width = (sizes[axis] for axis in plane.pixel_axes)
    if not (0 <= row < height and 0 <= column < width):
        message = f"this place lies beside '{image.name}'; click on an object that was committed."
        raise InputError(message)
    return plane, row, column


@contextmanager
def _tool_at_rest(layer: Layer | None) -> Iterator[None]:
    """Let a layer's tool draw, paint or select nothing."""
    if layer is None:
        yield
        return
    mode = layer.mode
    layer.mode = "pan_zoom"
    try:
        yield
    finally:
        layer.mode = mode

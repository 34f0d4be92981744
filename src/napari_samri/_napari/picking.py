"""One click on a slice, for an action that needs a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_samri._napari.planes import shown_plane, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_samri.geometry import Plane


def pick_pixel(
    viewer: ViewerModel, image: Image, picked: Callable[[Plane, int, int], None]
) -> Callable[[], None]:
    """Call ``picked(plane, row, column)`` at the next click on an image; return how to stop it."""

    def press(_: Any, event: Any) -> None:
        stop()
        plane = shown_plane(viewer, image)
        if plane is None:
            return
        place = image.world_to_data(event.position)
        x, y = to_pixels([place], plane)[0]
        shape = (
            [image.data.shape[-3:][axis] for axis in plane.pixel_axes]
            if image.ndim > 2
            else (image.data.shape)
        )
        row, column = round(float(y)), round(float(x))
        if 0 <= row < shape[0] and 0 <= column < shape[1]:
            picked(plane, row, column)

    def stop() -> None:
        if press in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(press)

    viewer.mouse_drag_callbacks.append(press)
    return stop

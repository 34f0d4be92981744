"""Callbacks on events, keys and clicks that can all be undone: what connects can disconnect."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import SignalInstance

from napari_samri._napari.layers import data_at, shown_plane, to_pixels
from napari_samri.errors import InputError, SamriError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_samri.geometry import Plane

# Intent: (keys as napari writes them, the key as buttons show it)
KEYS = {
    "toggle sign": (("T",), "T"),
    "run": (("S", "Enter"), "S"),
    "commit": (("C",), "C"),
    "clear": (("Shift-C",), "Shift+C"),
    "undo": (("Control-Z",), "Ctrl+Z"),
    "redo": (("Control-Shift-Z",), "Ctrl+Shift+Z"),
    "next object": (("N",), "N"),
}
_CLICK_PIXELS = 5  # of the screen: moving farther drags the view


class Connections:
    """Callbacks connected to events of napari or signals of psygnal, to be disconnected at once."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., Any]]] = []
        self._muted = 0

    def add(self, emitter: Any, callback: Callable[..., Any]) -> None:
        """Connect a callback that is silent inside `muted`."""

        def guarded(*arguments: Any) -> None:
            if not self._muted:
                callback(*arguments)

        if isinstance(emitter, SignalInstance):
            emitter.connect(guarded)
        else:
            # After napari's own: a layer that is removed in the middle of another one's removal
            # leaves its vispy node behind, and drawing that ends the process.
            emitter.connect(guarded, position="last")
        self._made.append((emitter, guarded))

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Silence all callbacks for a while."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    def close(self) -> None:
        """Disconnect all."""
        for emitter, callback in self._made:
            with suppress(ValueError, TypeError, RuntimeError):  # its owner was deleted already
                emitter.disconnect(callback)
        self._made.clear()

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._made)


def shown_key(intent: str) -> str:
    """Return a key as buttons show it."""
    return KEYS[intent][1]


def bind_keys(
    layers: Iterable[Layer], actions: Mapping[str, Callable[[], None]]
) -> Callable[[], None]:
    """Let keys call the actions of intents while one of the layers is selected.

    Returns
    -------
    callable
        Undoes that.
    """
    bound = [
        (layer, key, lambda _, action=action: action())
        for layer in layers
        for intent, action in actions.items()
        for key in KEYS[intent][0]
    ]
    for layer, key, pressed in bound:
        layer.bind_key(key, pressed, overwrite=True)

    def unbind() -> None:
        for layer, key, pressed in bound:
            # Not if the key has been bound to something else since.
            if pressed in layer.keymap.values():
                layer.bind_key(key, None, overwrite=True)

    return unbind


def pick_pixel(
    viewer: ViewerModel,
    image: Image,
    picked: Callable[[Plane, int, int], None],
    missed: Callable[[SamriError], None],
) -> Callable[[], None]:
    """Call ``picked(plane, row, column)`` after the next click on an image.

    The tool of the active layer is off during that click, and the callbacks run after it: a tool
    that they select does not act on the same click.

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
        Stops waiting.
    """

    def press(_: Any, event: Any) -> Iterator[None]:
        start = np.asarray(event.pos, float)
        with _without_tool(viewer.layers.selection.active):
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
        message = f"this place lies outside '{image.name}'; click on an object that was committed."
        raise InputError(message)
    return plane, row, column


@contextmanager
def _without_tool(layer: Layer | None) -> Iterator[None]:
    """Keep a layer's tool from drawing, painting or selecting."""
    if layer is None:
        yield
        return
    mode = layer.mode
    layer.mode = "pan_zoom"
    try:
        yield
    finally:
        layer.mode = mode

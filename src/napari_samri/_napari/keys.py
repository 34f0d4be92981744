"""Keys of a session, bound to its own layers: what users bound elsewhere stays theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari.layers import Layer

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
        (layer, key, _ignoring_layer(action))
        for layer in layers
        for intent, action in actions.items()
        for key in KEYS[intent][0]
    ]
    for layer, key, pressed in bound:
        layer.bind_key(key, pressed, overwrite=True)

    def unbind() -> None:
        for layer, key, pressed in bound:
            # Not if somebody else has bound the key since.
            if pressed in layer.keymap.values():
                layer.bind_key(key, None, overwrite=True)

    return unbind


def _ignoring_layer(action: Callable[[], None]) -> Callable[[Any], None]:
    def pressed(_: Any) -> None:
        action()

    return pressed

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


def bind_keys(layers: Iterable[Layer], actions: Mapping[str, Callable[[], None]]) -> None:
    """Let the keys of these intents call their actions while one of the layers is selected."""
    for layer in layers:
        for intent, action in actions.items():
            for key in KEYS[intent][0]:
                layer.bind_key(key, _ignoring_layer(action), overwrite=True)


def _ignoring_layer(action: Callable[[], None]) -> Callable[[Any], None]:
    def pressed(_: Any) -> None:
        action()

    return pressed

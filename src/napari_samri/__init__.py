"""Segment MRI by boxes and points in napari, in Python, and on the command line.

The names below are loaded when they are first used: importing the package is quick and loads
neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_samri._qt.scripting import start_session
    from napari_samri.datasets import prepare
    from napari_samri.embeddings import Embedding, EmbeddingCache
    from napari_samri.embeddings.bank import Bank
    from napari_samri.geometry import Plane, Volume
    from napari_samri.io import load_volume, save_labels
    from napari_samri.segment.candidates import Candidates
    from napari_samri.segment.predictor import Predictor, load_predictor
    from napari_samri.zoo import known_models, register_model, unreadable_models

__version__ = "0.1.0"

_HOMES = {
    "Bank": "embeddings.bank",
    "Candidates": "segment.candidates",
    "Embedding": "embeddings",
    "EmbeddingCache": "embeddings",
    "Plane": "geometry",
    "Predictor": "segment.predictor",
    "Volume": "geometry",
    "known_models": "zoo",
    "load_predictor": "segment.predictor",
    "load_volume": "io",
    "prepare": "datasets",
    "register_model": "zoo",
    "save_labels": "io",
    "start_session": "_qt.scripting",
    "unreadable_models": "zoo",
}

__all__ = [
    "Bank",
    "Candidates",
    "Embedding",
    "EmbeddingCache",
    "Plane",
    "Predictor",
    "Volume",
    "__version__",
    "known_models",
    "load_predictor",
    "load_volume",
    "prepare",
    "register_model",
    "save_labels",
    "start_session",
    "unreadable_models",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""Which models there are, where their files come from, and how to know the right ones."""

from napari_samri.zoo.download import fetch, local_path, models_dir
from napari_samri.zoo.registry import find_model, known_models, register_model
from napari_samri.zoo.spec import Download, ModelSpec

__all__ = [
    "Download",
    "ModelSpec",
    "fetch",
    "find_model",
    "known_models",
    "local_path",
    "models_dir",
    "register_model",
]

"""Which models there are, where their files come from, and how to know the right ones."""

from napari_samri.zoo.changes import models_changed
from napari_samri.zoo.download import fetch, local_path, models_dir
from napari_samri.zoo.registry import find_model, known_models, needed_model, register_model
from napari_samri.zoo.spec import Download, ModelSpec
from napari_samri.zoo.tuned import add_tuned, remove_tuned, unreadable_models

__all__ = [
    "Download",
    "ModelSpec",
    "add_tuned",
    "fetch",
    "find_model",
    "known_models",
    "local_path",
    "models_changed",
    "models_dir",
    "needed_model",
    "register_model",
    "remove_tuned",
    "unreadable_models",
]

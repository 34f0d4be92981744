"""Models by name: the catalogue, registered ones, those that packages bring, and tuned ones.

A package brings models by the entry point group ``napari_samri.models``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.errors import ModelError
from napari_samri.models.catalogue import CATALOGUE
from napari_samri.models.changes import models_changed
from napari_samri.models.spec import ModelSpec
from napari_samri.models.tuned_folder import tuned_models, unreadable_models
from napari_samri.plugins import NamedRegistry, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

MODELS = NamedRegistry(
    "napari_samri.models", ModelSpec, lambda: CATALOGUE, noun="model", error=ModelError
)


def register_model(spec: ModelSpec) -> None:
    """Add a model under its id.

    Raises
    ------
    ModelError
        If another model has that id.
    """
    MODELS.register(spec)
    models_changed.emit()


def known_models() -> dict[str, ModelSpec]:
    """Return all models by id, in the catalogue's order; a later one never hides an earlier.

    Decoders that this user tuned come last; `napari_samri.models.models_changed` tells of new ones.
    """
    models = MODELS.known()
    for spec in tuned_models():
        models.setdefault(spec.id, spec)
    return models


def find_model(name: str) -> ModelSpec:
    """Return a model by id.

    Raises
    ------
    ModelError
        If there is none, the message offers the nearest ids; if its file is damaged, it says how.
    """
    models = known_models()
    if name in models:
        return models[name]
    for damaged in unreadable_models():
        if damaged.name == name:
            message = f"'{name}' cannot be used: {damaged.reason}"
            raise ModelError(message)
    message = (
        f"'{name}' is neither a known model nor a checkpoint file. {did_you_mean(name, models)}"
        f"Known models: {', '.join(models)}; or give the path of a .pth, .pt or "
        ".safetensors file."
    )
    raise ModelError(message)


def needed_model(spec: ModelSpec, models: Mapping[str, ModelSpec]) -> ModelSpec:
    """Return the model whose file has to be here: a tuned decoder's base if it is a known one.

    Of all other models, it is the model itself.

    Parameters
    ----------
    spec : ModelSpec
    models : mapping
        As `known_models` returns them: asking anew for each of many models takes a while.
    """
    return models.get(spec.base, spec) if spec.base is not None else spec

"""Models by name: the catalogue, registered ones, those that packages bring, and tuned ones.

A package brings models by the entry point group ``napari_samri.models``; each entry points to
a `ModelSpec` or to a function that returns some.
"""

from __future__ import annotations

import logging
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from napari_samri.errors import ModelError
from napari_samri.models.catalogue import CATALOGUE
from napari_samri.models.changes import models_changed
from napari_samri.models.spec import ModelSpec
from napari_samri.models.tuned_folder import tuned_models, unreadable_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

ENTRY_POINTS = "napari_samri.models"
_registered: dict[str, ModelSpec] = {}


def register_model(spec: ModelSpec) -> None:
    """Add a model under its id.

    Raises
    ------
    ModelError
        If another model has that id.
    """
    if known_models().get(spec.id, spec) != spec:
        message = f"a model with the id '{spec.id}' exists already; choose another id."
        raise ModelError(message)
    _registered[spec.id] = spec
    models_changed.emit()


def known_models() -> dict[str, ModelSpec]:
    """Return all models by id, in the catalogue's order; a later one never hides an earlier.

    Decoders that this user tuned come last; `napari_samri.models.models_changed` tells of new ones.
    """
    models = {spec.id: spec for spec in CATALOGUE}
    for spec in (*_registered.values(), *_from_entry_points(), *tuned_models()):
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
    near = get_close_matches(name, models, n=3)
    offer = f"Did you mean {' or '.join(near)}? " if near else ""
    message = (
        f"'{name}' is neither a known model nor a checkpoint file. {offer}"
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


def _from_entry_points() -> Iterable[ModelSpec]:
    for entry in entry_points(group=ENTRY_POINTS):
        yield from _load_entry(entry)


def _load_entry(entry: EntryPoint) -> Iterable[ModelSpec]:
    try:
        loaded = entry.load()
        specs = loaded() if callable(loaded) else loaded
        specs = (specs,) if isinstance(specs, ModelSpec) else tuple(specs)
    except Exception:  # another package's fault must not take ours down
        logger.warning("the models of entry point %s could not be loaded", entry, exc_info=True)
        return ()
    if odd := [spec for spec in specs if not isinstance(spec, ModelSpec)]:
        logger.warning("entry point %s gave %r; expected ModelSpec only", entry, odd[0])
    return [spec for spec in specs if isinstance(spec, ModelSpec)]

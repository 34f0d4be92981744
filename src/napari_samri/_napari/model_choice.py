"""Another model for all that is segmented in a viewer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import SignalInstance

from napari_samri._napari.annotation import annotations_of
from napari_samri._napari.preferences import current_settings
from napari_samri.session import write_settings

if TYPE_CHECKING:
    from napari.components import ViewerModel

# Emitted with a viewer and a model's id, for widgets that show which model will run.
model_chosen = SignalInstance((object, str), name="model_chosen")


def use_model_in(viewer: ViewerModel, model: str) -> None:
    """Let all annotations of a viewer use a model, now and from now on.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    model : str
        Id of a known model.
    """
    settings = replace(current_settings(), model=model)
    write_settings(settings)
    for annotation in annotations_of(viewer).values():
        annotation.use_model(model, device=settings.device, memory_mb=settings.memory_mb)
    model_chosen.emit(viewer, model)

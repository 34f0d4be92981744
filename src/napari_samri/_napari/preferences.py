"""Settings, over which napari's Preferences page goes, and the model chosen for a whole viewer."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from psygnal import SignalInstance

from napari_samri._napari.annotation import annotations_of
from napari_samri.session import Settings, read_settings, updated, write_settings

if TYPE_CHECKING:
    from napari.components import ViewerModel

# Emitted with a viewer and a model's id, for widgets that show which model will run.
model_chosen = SignalInstance((object, str), name="model_chosen")


def current_settings() -> Settings:
    """Return the settings that hold now."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return read_settings()
    try:
        page = get_plugin_settings("napari-samri").segment
    except (KeyError, AttributeError):  # the plugin is disabled, or was not installed
        return read_settings()
    chosen = {
        field.name: value
        for field in fields(Settings)
        if (value := getattr(page, field.name, None)) is not None
        and value != getattr(Settings(), field.name)
    }
    return updated(read_settings(), chosen)


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
        annotation.scheduler.load(settings.model_choice)
    model_chosen.emit(viewer, model)

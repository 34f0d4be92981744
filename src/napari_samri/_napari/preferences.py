"""Settings: those of napari's Preferences page, where napari has one, over our own file's."""

from __future__ import annotations

from dataclasses import fields

from napari_samri.session import Settings, read_settings, updated


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

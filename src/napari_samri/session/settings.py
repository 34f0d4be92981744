"""What a user chose once and expects to find again: a dataclass and its JSON file."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from napari_samri.errors import StoreError
from napari_samri.io.atomic import replacing
from napari_samri.places import user_folder

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

CONFIG_VARIABLE = "NAPARI_SAMRI_CONFIG"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Choices that outlive a session.

    Parameters
    ----------
    model, device : str
        Model to begin with, and where it runs.
    prefetch_slices : int
        Slices to embed ahead of the one that is looked at.
    memory_mb : int
        Bound on the embeddings kept in memory.
    autosave : bool
        Keep a journal of every session.
    largest_component, fill_holes : bool
        Post-processing.
    keep_running : bool
        Embedding and training go on when the viewer is closed.
    """

    model: str = "starter"
    device: str = "auto"
    prefetch_slices: int = 8
    memory_mb: int = 1024
    autosave: bool = True
    largest_component: bool = False
    fill_holes: bool = False
    keep_running: bool = True


def settings_path() -> Path:
    """Return the file of settings; ``NAPARI_SAMRI_CONFIG`` overrides its folder."""
    return user_folder("config", CONFIG_VARIABLE) / "settings.json"


def read_settings() -> Settings:
    """Return the settings; what is missing, unknown or of another type is the default."""
    try:
        content = json.loads(settings_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        logger.warning("%s: unreadable, defaults are used (%s)", settings_path(), error)
        return Settings()
    return updated(Settings(), content if isinstance(content, dict) else {})


def updated(settings: Settings, values: dict[str, Any]) -> Settings:
    """Return settings with those of the values that are known and of the right type."""
    good = {
        field.name: values[field.name]
        for field in fields(settings)
        if type(values.get(field.name)) is type(getattr(settings, field.name))
    }
    return replace(settings, **good)


def write_settings(settings: Settings) -> None:
    """Keep settings; where the disk refuses, say so in the log and go on."""
    path = settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            text = json.dumps({"version": VERSION, **asdict(settings)}, indent=1)
            temporary.write_text(text, encoding="utf-8")
    except (OSError, StoreError) as error:
        logger.warning("%s: settings cannot be kept (%s)", path, error)

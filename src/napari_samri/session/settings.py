"""What a user chose once and expects to find again: a dataclass and its JSON file."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from napari_samri.atomic import replacing
from napari_samri.codec import Flaw, field_readers, integer, line, read_json, shown, text, to_plain
from napari_samri.errors import InputError, MissingFileError, StoreError
from napari_samri.places import user_folder
from napari_samri.segment import ModelChoice, PostProcessing

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

    model: Annotated[str, text(4096)] = "starter"
    device: Annotated[str, line(100)] = "auto"
    prefetch_slices: Annotated[int, integer(0, 10_000)] = 8
    memory_mb: Annotated[int, integer(0, 1 << 30)] = 1024
    autosave: bool = True
    largest_component: bool = False
    fill_holes: bool = False
    keep_running: bool = True

    @property
    def model_choice(self) -> ModelChoice:
        """The model to run, and how."""
        return ModelChoice(model=self.model, device=self.device, memory_mb=self.memory_mb)

    @property
    def post(self) -> PostProcessing:
        """The post-processing of masks."""
        return PostProcessing(largest_component=self.largest_component, fill_holes=self.fill_holes)


def settings_path() -> Path:
    """Return the file of settings; ``NAPARI_SAMRI_CONFIG`` overrides its folder."""
    return user_folder("config", CONFIG_VARIABLE) / "settings.json"


def read_settings() -> Settings:
    """Return the settings; what is missing, unknown or of no use is the default."""
    try:
        values = read_json(settings_path(), _any_fields, 1 << 20)
    except MissingFileError:
        return Settings()
    except InputError as error:
        logger.warning("%s Defaults are used.", error)
        return Settings()
    return updated(Settings(), values)


def _any_fields(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"is {shown(value)}; expected an object"
        raise Flaw(message)
    return value


def updated(settings: Settings, values: dict[str, Any]) -> Settings:
    """Return settings with those of the values that are known and of use."""
    good = {}
    for name, reader in field_readers(Settings).items():
        if name in values:
            try:
                good[name] = reader(values[name])
            except Flaw as flaw:
                logger.warning("%s: %s %s; it is passed over", settings_path(), name, flaw)
    return replace(settings, **good)


def write_settings(settings: Settings) -> None:
    """Keep settings; where the disk refuses, say so in the log and go on."""
    path = settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            text = json.dumps({"version": VERSION, **to_plain(settings)}, indent=1)
            temporary.write_text(text, encoding="utf-8")
    except (OSError, StoreError) as error:
        logger.warning("%s: settings cannot be kept (%s)", path, error)

"""Where the state of work lies that outlives a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.places import user_folder

if TYPE_CHECKING:
    from pathlib import Path

STATE_VARIABLE = "NAPARI_SAMRI_STATE"


def state_dir() -> Path:
    """Return the user's folder of state; ``NAPARI_SAMRI_STATE`` overrides it."""
    return user_folder("state", STATE_VARIABLE)


def jobs_dir() -> Path:
    """Return the folder of jobs that outlive the window."""
    return state_dir() / "jobs"

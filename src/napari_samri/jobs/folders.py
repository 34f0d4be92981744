"""Where the state of work lies that outlives a process."""

from __future__ import annotations

import os
from pathlib import Path

STATE_VARIABLE = "NAPARI_SAMRI_STATE"


def state_dir() -> Path:
    """Return the user's folder of state; ``NAPARI_SAMRI_STATE`` overrides it."""
    if folder := os.environ.get(STATE_VARIABLE):
        return Path(folder).expanduser()
    from platformdirs import user_state_path

    return user_state_path("napari-samri", appauthor=False)


def jobs_dir() -> Path:
    """Return the folder of jobs that outlive the window."""
    return state_dir() / "jobs"

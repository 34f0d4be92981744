"""What a fresh interpreter loads, and how the source may be written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import napari_samri

HEAVY = ("torch", "qtpy", "PyQt6", "PySide6", "napari", "nibabel", "scipy", "skimage", "pydicom")


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads in a fresh interpreter."""
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import napari_samri").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "room",
    ["geometry", "io", "models", "datasets", "prompts", "embeddings", "session", "work", "cli"],
)
def test_rooms_load_neither_torch_nor_qt(room: str) -> None:
    loaded = loaded_by(f"import napari_samri.{room}")
    assert loaded.isdisjoint({"torch", "qtpy", "PyQt6", "PySide6", "napari"})


@pytest.mark.parametrize(
    "statement",
    [
        "from napari_samri.cli.program import parser; parser()",
        "from napari_samri.work import Background, FinetuneTask, facts_of_bank, suggested_numbers",
    ],
)
def test_tasks_are_made_without_torch(statement: str) -> None:
    """Neither help on the command line nor a form in the window waits for it."""
    assert "torch" not in loaded_by(statement)


def test_the_predictor_loads_no_gui() -> None:
    loaded = loaded_by("from napari_samri import load_predictor; load_predictor()")
    assert loaded.isdisjoint({"qtpy", "PyQt6", "PySide6", "napari", "vispy", "magicgui"})


@pytest.mark.parametrize("name", napari_samri.__all__)
def test_public_names_exist(name: str) -> None:
    assert getattr(napari_samri, name) is not None


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = napari_samri.nothing
    assert set(dir(napari_samri)) == set(napari_samri.__all__)

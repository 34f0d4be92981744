"""Rooms are entered by their faces: a package names in its ``__init__.pyi`` what others may use."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import napari_samri

PACKAGE = Path(napari_samri.__file__).parent
FACES = sorted(path.parent for path in PACKAGE.rglob("__init__.pyi"))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def is_package(name: str) -> bool:
    return PACKAGE.parent.joinpath(*name.split("."), "__init__.py").exists()


def face_of(name: str) -> str:
    """Return the innermost package that a module lies in."""
    while not is_package(name):
        name = name.rpartition(".")[0]
    return name


def passed_faces(path: Path) -> list[str]:
    """Return what a module imports from modules of packages that it is not itself in."""
    mine = module_of(path)
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
            "napari_samri."
        ):
            continue
        name = str(node.module)
        face = face_of(name)
        if face not in (name, "napari_samri") and not f"{mine}.".startswith(f"{face}."):
            found.append(f"{mine} imports {name}")
    return found


def test_no_face_is_passed_by() -> None:
    assert [line for path in sorted(PACKAGE.rglob("*.py")) for line in passed_faces(path)] == []


@pytest.mark.parametrize("folder", FACES, ids=module_of)
def test_a_face_has_what_it_names(folder: Path) -> None:
    if folder.name == "_qt":
        pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)
    face = importlib.import_module(module_of(folder / "__init__.py"))
    assert face.__all__
    for name in face.__all__:
        assert getattr(face, name) is not None


def taken_from_faces(path: Path) -> set[tuple[str, str]]:
    """Return the faces that a file imports names from, with the names; of its own room none."""
    mine = module_of(path) if path.is_relative_to(PACKAGE) else ""
    return {
        (f"napari_samri.{node.module}" if node.level else str(node.module), alias.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if not mine.startswith(f"{node.module}.")
    }


def test_a_face_names_only_what_is_used_outside_its_room() -> None:
    """Or what the documentation names, for packages that add to this one."""
    root = Path(__file__).parents[1]
    files = [*PACKAGE.rglob("*.py"), PACKAGE / "__init__.pyi"]
    files += [each for folder in ("tests", "tools") for each in (root / folder).rglob("*.py")]
    taken = set().union(*map(taken_from_faces, files))
    pages = "".join(
        each.read_text(encoding="utf-8")
        for each in [*(root / "docs").rglob("*.md"), root / "CONTRIBUTING.md"]
    )
    unused = [
        f"{room}: {name}"
        for room in map(module_of, FACES)
        if room not in {"napari_samri", "napari_samri._qt"}
        for name in importlib.import_module(room).__all__
        if (room, name) not in taken and not re.search(rf"\b{name}\b", pages)
    ]
    assert unused == [], "take these out of their room's __init__.pyi"

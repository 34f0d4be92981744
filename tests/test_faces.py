"""Rooms are entered by their faces: a package names in its ``__init__.pyi`` what others may use."""

from __future__ import annotations

import ast
import importlib
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
        pytest.importorskip("qtpy.QtWidgets")
    face = importlib.import_module(module_of(folder / "__init__.py"))
    assert face.__all__
    for name in face.__all__:
        assert getattr(face, name) is not None

"""What errors say: the library knows no command line, and the viewer has its own controls."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import napari_samri

ROOT = Path(napari_samri.__file__).parent
# These make or describe command lines.
ALLOWED = {"cli", "train.py"}
FLAG = re.compile(r"(^|[\s('\"])--[a-z][a-z-]+")


def messages(path: Path) -> list[str]:
    """Return the texts that a module assigns to ``message``, as its errors do."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "message":
            parts = (each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant))
            found.append(" ".join(str(part) for part in parts))
    return found


@pytest.mark.parametrize("room", sorted(p.name for p in ROOT.iterdir() if p.suffix != ".yaml"))
def test_errors_of_the_library_name_no_flags(room: str) -> None:
    files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    for file in files:
        if ALLOWED.isdisjoint(file.relative_to(ROOT).parts):
            assert [text for text in messages(file) if FLAG.search(text)] == [], file

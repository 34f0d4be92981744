"""Fail if a Qt binding is installed: the environment is meant to prove that none is needed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

BINDINGS = ("PyQt5", "PyQt6", "PySide2", "PySide6")

found = [name for name in BINDINGS if find_spec(name)]
if found:
    sys.exit(f"expected no Qt binding here, found {', '.join(found)}")

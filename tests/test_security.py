"""Code that runs what it reads: in one checked function, and there with torch's guard on."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import napari_samri

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(napari_samri.__file__).parent
CHECKPOINT = PACKAGE / "models" / "checkpoint.py"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Modules that rebuild any object from bytes.
UNSAFE_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
}
UNSAFE_CALLS = {
    "eval",
    "exec",
    "torch.load",
    "torch.jit.load",
    "torch.hub.load",
    "pandas.read_pickle",
}


def name_of(node: ast.expr) -> str:
    """Return a dotted name, or what is known of its end."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return f"{name_of(node.value)}.{node.attr}"
    return "?"


def aliases(tree: ast.AST) -> dict[str, str]:
    """Return what the imported names of a module stand for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                package = name.name.split(".")[0]
                found[name.asname or package] = name.name if name.asname else package
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def problems(source: str) -> Iterator[str]:
    """Yield every import and call of a module that could run what it reads."""
    tree = ast.parse(source)
    names = aliases(tree)
    for target in names.values():
        if target.split(".")[0] in UNSAFE_MODULES:
            yield f"imports {target}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, _, tail = name_of(node.func).partition(".")
            called = ".".join(filter(None, (names.get(head, head), tail)))
            options = {option.arg: option.value for option in node.keywords}
            if called in UNSAFE_CALLS:
                yield f"calls {called}" + (" unguarded" if not is_guarded(options) else "")
            allow = options.get("allow_pickle")
            if allow is not None and not is_constant(allow, value=False):
                yield f"calls {called} with allow_pickle"


def is_constant(node: ast.expr | None, *, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def is_guarded(options: dict[str | None, ast.expr]) -> bool:
    return is_constant(options.get("weights_only"), value=True)


def test_the_whole_package_is_looked_at() -> None:
    assert CHECKPOINT in SOURCES
    assert len(SOURCES) > 40


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    allowed = ["calls torch.load", "imports pickle"] if path == CHECKPOINT else []
    assert sorted(problems(path.read_text(encoding="utf-8"))) == allowed


def test_pickle_is_there_for_its_exception_only() -> None:
    tree = ast.parse(CHECKPOINT.read_text(encoding="utf-8"))
    used = {name_of(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("pickle.")} == {"pickle.UnpicklingError"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch\ntorch.load(p)", "calls torch.load unguarded"),
        ("import torch as t\nt.load(p, weights_only=False)", "calls torch.load unguarded"),
        ("import torch\ntorch.load(p, weights_only=w)", "calls torch.load unguarded"),
        ("import torch\ntorch.load(p, weights_only=True)", "calls torch.load"),
        ("from torch import load as read\nread(p)", "calls torch.load unguarded"),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", "calls numpy.load with allow_pickle"),
        ("def f():\n    import dill", "imports dill"),
        ("from pickle import loads", "imports pickle.loads"),
        ("import joblib.memory", "imports joblib"),
        ("eval(text)", "calls eval unguarded"),
        ("import numpy as np\nnp.load(p, allow_pickle=False)", None),
        ("import json\njson.load(f)", None),
    ],
)
def test_the_search_finds_what_it_should(source: str, expected: str | None) -> None:
    assert list(problems(source)) == ([expected] if expected else [])

"""The recipes of CONTRIBUTING, followed to the letter by a package that is installed."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_samri import load_volume
from napari_samri.errors import InputError
from napari_samri.evaluation import (
    METRICS,
    find_metric,
    register_metric,
    unregister_metric,
)
from napari_samri.io import can_read, register_reader, registry, unregister_reader

if TYPE_CHECKING:
    from types import ModuleType

TEXT = Path(__file__).parents[1].joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks_of(title: str) -> dict[str, str]:
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    return dict(BLOCK.findall(section))


def follow(title: str, site: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Write a recipe's module into a folder of packages, and import it."""
    code = blocks_of(title)["python"]
    name = re.match(r"# (\w+)\.py\n", code)[1]
    (site / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def install(title: str, site: Path) -> None:
    """Write a recipe's entry points down as those of an installed package."""
    groups = tomllib.loads(blocks_of(title)["toml"])["project"]["entry-points"]
    info = site / "recipe-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: recipe\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


def cube(folder: Path) -> Path:
    path = folder / "some.cube"
    path.write_bytes(b"CUBE" + bytes(range(256)) * 2)
    return path


def check_cube(folder: Path) -> None:
    path = cube(folder)
    assert can_read(path)
    volume = load_volume(path)
    np.testing.assert_array_equal(volume.to_stored(volume.array).ravel(), [*range(256)] * 2)
    path.write_bytes(b"CUBE cut off")
    with pytest.raises(InputError, match="8 voxels; expected 512"):
        load_volume(path)


def test_a_reader_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow("Add a reader", tmp_path, monkeypatch)
    install("Add a reader", tmp_path)
    monkeypatch.setattr(registry._readers, "_found", None)
    check_cube(tmp_path)


def test_a_reader_by_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = follow("Add a reader", tmp_path, monkeypatch).CubeReader()
    register_reader(reader)
    try:
        check_cube(tmp_path)
    finally:
        unregister_reader(reader)
    with pytest.raises(InputError, match="expected one of: NIfTI"):
        load_volume(cube(tmp_path))


def check_volume_error() -> None:
    half, whole = np.zeros((2, 4, 4), bool), np.ones((2, 4, 4), bool)
    half[0] = True
    measure = find_metric("volume-error").measure
    assert measure(half, whole, (3, 1, 1)) == -0.5
    assert np.isnan(measure(half, ~whole, (3, 1, 1)))


def test_a_metric_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow("Add a metric", tmp_path, monkeypatch)
    install("Add a metric", tmp_path)
    monkeypatch.setattr(METRICS, "_found", None)
    check_volume_error()


def test_a_metric_by_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = follow("Add a metric", tmp_path, monkeypatch).VOLUME_ERROR
    register_metric(metric)
    try:
        check_volume_error()
    finally:
        unregister_metric(metric)
    assert "volume-error" not in METRICS.known()

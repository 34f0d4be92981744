"""Where banks and runs go, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_samri.errors import InputError
from napari_samri.work import (
    bank_path,
    existing_source,
    run_folder,
    suggested_bank,
    suggested_run,
)


def test_where_banks_go(tmp_path: Path) -> None:
    assert bank_path(tmp_path / "a") == tmp_path / "a.zarr"
    assert bank_path(tmp_path / "a.zarr") == tmp_path / "a.zarr"
    assert bank_path(tmp_path / "A.ZARR") == tmp_path / "A.ZARR"
    assert bank_path(tmp_path / "a.v1") == tmp_path / "a.v1.zarr"
    for nothing in (None, Path()):
        with pytest.raises(InputError, match="no place for the bank"):
            bank_path(nothing)
    with pytest.raises(InputError, match="does not exist; make it first"):
        bank_path(tmp_path / "b" / "a.zarr")


def test_suggestions_lie_beside_the_source(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    manifest = folder / "m.json"
    manifest.touch()
    assert suggested_bank(manifest) == manifest.with_suffix(".zarr")
    assert suggested_bank(folder) == folder.with_name(f"{folder.name}.zarr")
    assert suggested_bank(None) is None
    assert suggested_bank(tmp_path / "nothing") is None


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    for nothing in (None, Path()):
        with pytest.raises(InputError, match="no data set yet"):
            existing_source(nothing)
    with pytest.raises(InputError, match="no such file or folder"):
        existing_source(tmp_path / "a")


def test_where_runs_go(tmp_path: Path) -> None:
    assert suggested_run(tmp_path / "knees.zarr") == tmp_path / "knees_tuned"
    (tmp_path / "knees_tuned").mkdir()
    assert suggested_run(tmp_path / "knees.zarr") == tmp_path / "knees_tuned-2"
    unfinished = tmp_path / "knees_tuned"
    assert suggested_run(tmp_path / "knees.zarr", unfinished) == unfinished
    assert suggested_run(tmp_path / "hips.zarr", unfinished) == tmp_path / "hips_tuned"
    assert run_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "file").touch()
    for path, text in (
        (None, "no place for the result"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "no" / "where", "make it first"),
    ):
        with pytest.raises(InputError, match=text):
            run_folder(path)

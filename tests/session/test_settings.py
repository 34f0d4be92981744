"""Settings: remembered, and never in the way."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from napari_samri.session.settings import (
    Settings,
    read_settings,
    settings_path,
    updated,
    write_settings,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_there_and_back() -> None:
    assert read_settings() == Settings()
    other = Settings(model="vit_b", prefetch_slices=0, autosave=False, fill_holes=True)
    write_settings(other)
    assert read_settings() == other


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "[]",
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
        "[" * 10_000 + "]" * 10_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        "9" * 5000,
        '{"model": 3, "prefetch_slices": "8", "memory_mb": true, "unknown": 1}',
        '{"prefetch_slices": -1, "memory_mb": 1e999, "autosave": 0, "device": "a\\nb"}',
    ],
)
def test_files_that_make_no_sense_are_the_defaults(content: str) -> None:
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text(content, encoding="latin-1")
    assert read_settings() == Settings()


@pytest.mark.parametrize("bad", ["1e999", "NaN", "null", "[]", '{"a": []}', '"8"', "1.5", "-1"])
def test_one_bad_value_takes_no_other_along(bad: str) -> None:
    settings_path().parent.mkdir(parents=True)
    text = f'{{"prefetch_slices": {bad}, "model": "vit_b", "other": {bad}}}'
    settings_path().write_text(text, encoding="utf-8")
    assert read_settings() == Settings(model="vit_b")


def test_every_setting_has_a_reader() -> None:
    other = {
        name: not value if isinstance(value, bool) else value * 2
        for name, value in asdict(Settings()).items()
    }
    assert asdict(updated(Settings(), other)) == other


def test_what_is_good_is_taken() -> None:
    assert updated(Settings(), {"memory_mb": 5, "device": None}) == Settings(memory_mb=5)


def test_a_disk_that_refuses_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(Settings(model="a"))
    assert json.loads(settings_path().read_text(encoding="utf-8"))["version"] == 1
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("NAPARI_SAMRI_CONFIG", str(tmp_path / "file"))
    write_settings(Settings(model="b"))
    assert read_settings() == Settings()

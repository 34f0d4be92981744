"""Curves: what is told is what is read, and there is a picture of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_samri.jobs.events import Measured
from napari_samri.training.curves import add_point, read_curves, save_picture
from napari_samri.training.preview import read_preview

if TYPE_CHECKING:
    from pathlib import Path


def test_each_epoch_is_read_once(tmp_path: Path) -> None:
    assert read_curves(tmp_path) == []
    for epoch, loss in ((0, float("nan")), (1, 0.5), (2, 0.4), (2, 0.3)):
        add_point(tmp_path, Measured(at=epoch, values={"loss": loss, "validation": 0.1 * epoch}))
    with (tmp_path / "curves.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')  # torn by a kill
    points = read_curves(tmp_path)
    assert [point["epoch"] for point in points] == [0, 1, 2]
    assert "loss" not in points[0]
    assert points[2]["loss"] == 0.3
    for epoch in (3, 4):
        add_point(tmp_path, Measured(at=epoch, values={"loss": 0.2}))
    assert [point["epoch"] for point in read_curves(tmp_path)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "line",
    [
        b'{"epoch": "x", "loss": 1}',
        b'{"epoch": null}',
        b'{"epoch": 1e999}',
        b'{"epoch": NaN, "loss": 1}',
        b'{"epoch": true}',
        b'{"epoch": 1' + b"0" * 5000 + b"}",
        b'{"epoch": {}}',
        b'{"epoch": 4, "loss": "low"}',
        b'{"epoch": 4, "loss": []}',
        b'{"loss": 1}',
        b"[4]",
        b"[" * 10_000 + b"]" * 10_000,
        b"\xff\xfe",
        b'{"epoch": 4, "x": "' + b"a" * 100_000 + b'"}',
    ],
    ids=range(14),
)
def test_a_damaged_line_takes_no_epoch_along(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for epoch in (1, 2):
        add_point(tmp_path, Measured(at=epoch, values={"loss": 0.2}))
    with (tmp_path / "curves.jsonl").open("ab") as file:
        file.write(line + b"\n")
    add_point(tmp_path, Measured(at=3, values={"loss": 0.1}))
    expected = [{"epoch": epoch, "loss": loss} for epoch, loss in ((1, 0.2), (2, 0.2), (3, 0.1))]
    assert read_curves(tmp_path) == expected
    assert read_curves(tmp_path) == expected
    (told,) = caplog.messages
    assert "line 3" in told
    assert len(told) < 600
    save_picture(tmp_path)


def test_curves_that_are_no_file_are_none(tmp_path: Path) -> None:
    (tmp_path / "curves.jsonl").mkdir()
    assert read_curves(tmp_path) == []


def test_the_picture_shows_the_curves(tmp_path: Path) -> None:
    save_picture(tmp_path)
    empty = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB"), int)
    for epoch in range(5):
        add_point(tmp_path, Measured(at=epoch, values={"loss": 1 / (1 + epoch), "validation": 0.5}))
    save_picture(tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB"), int)
    colours = (drawn.max(axis=2) - drawn.min(axis=2)) > 60
    assert not ((empty.max(axis=2) - empty.min(axis=2)) > 60).any()
    half = drawn.shape[1] // 2
    assert colours[:, :half].sum() > 200
    assert colours[:, half:].sum() > 200


def test_a_damaged_preview_is_none(tmp_path: Path) -> None:
    assert read_preview(tmp_path) is None
    (tmp_path / "preview.npz").write_bytes(b"PK\x03\x04 torn")
    assert read_preview(tmp_path) is None

"""The demo, on the template that nilearn carries."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_samri.cli import demo, main
from napari_samri.io import samples
from napari_samri.io.samples import template_file

if TYPE_CHECKING:
    from pathlib import Path

with_nilearn = pytest.mark.skipif(find_spec("nilearn") is None, reason="nilearn is not installed")


@with_nilearn
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    assert main(["demo", "--out", str(out), "--no-viewer"]) == 0
    labels = nib.load(out / "labels.nii.gz")
    template = nib.load(template_file())
    assert labels.shape == template.shape
    np.testing.assert_array_equal(labels.affine, template.affine)
    found = np.unique(np.asarray(labels.dataobj))
    assert set(found) == {0, *(example.request.label for example in demo.EXAMPLES)}
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == len(demo.EXAMPLES)
    scores = []
    for line, example in zip(lines, demo.EXAMPLES, strict=True):
        score, name = line.split(maxsplit=1)
        assert name == example.name
        scores.append(float(score))
    assert max(scores) > 0.9
    for number in range(1, len(demo.EXAMPLES) + 1):
        with Image.open(out / f"slice-{number}.png") as picture:
            assert min(picture.size) > 300


def test_without_nilearn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(samples, "find_spec", lambda _: None)
    assert main(["demo", "--out", str(tmp_path / "none")]) == 2
    assert "napari-samri[demo]" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@with_nilearn
def test_no_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert "no display" in capsys.readouterr().err

"""``napari-samri export``, and tuned models in ``napari-samri models``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from napari_samri.cli import main
from napari_samri.models import add_tuned, models_dir
from napari_samri.models.loading import load_model
from napari_samri.models.tuned import card_of, write_decoder
from tests.tiny import build_tiny, install_tiny, tiny_tensors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    install_tiny(monkeypatch)


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    torch.save(tiny_tensors(), tmp_path / "base.pth")
    return tune(tmp_path / "base.pth", tmp_path / "tuned.safetensors")


def tune(base: Path | str, path: Path) -> Path:
    model = load_model(base, "cpu")
    card = card_of(model, title="Knees", objective={"name": "samri-bp"}, trains_quality=False)
    write_decoder(path, {k: v + 0.01 for k, v in model.network.state_dict().items()}, card)
    return path


@pytest.mark.parametrize("by", ["path", "id"])
def test_a_tuned_model_is_exported(decoder: Path, tmp_path: Path, capsys, by: str) -> None:
    out = tmp_path / "out.pth"
    model = str(decoder) if by == "path" else add_tuned(decoder).id
    assert main(["export", model, "--out", str(out)]) == 0
    build_tiny().load_state_dict(torch.load(out, weights_only=True))
    assert f"{out}: Knees as vit_b" in capsys.readouterr().err


def test_a_base_can_be_given(decoder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "base.pth").rename(tmp_path / "moved.pth")
    out = tmp_path / "out.pth"
    assert main(["export", str(decoder), "--out", str(out)]) == 2
    assert "base.pth" in capsys.readouterr().err
    base = str(tmp_path / "moved.pth")
    assert main(["export", str(decoder), "--base", base, "--out", str(out)]) == 0
    assert out.is_file()


def test_a_preprocessing_that_others_may_not_do_is_told(tmp_path: Path, capsys) -> None:
    models_dir().mkdir(parents=True)
    torch.save(tiny_tensors(), models_dir() / "medsam_vit_b.pth")
    assert main(["export", "medsam", "--out", str(tmp_path / "out.pth")]) == 0
    assert "percentile" in capsys.readouterr().err


def test_a_file_that_is_there_is_kept_unless_told(decoder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "base.pth"
    before = out.read_bytes()
    assert main(["export", str(decoder), "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main(["export", str(decoder), "--out", str(out), "--overwrite"]) == 0
    assert out.read_bytes() != before


@pytest.mark.parametrize(
    ("model", "out", "said"),
    [
        ("starter", "out.pth", "SAM library does not know"),
        ("no-such-model", "out.pth", "neither a known model"),
        ("starter", "out.safetensors", ".pth or .pt"),
        ("{}/missing.safetensors", "out.pth", "no such file"),
        ("{}/tuned.safetensors", "no/folder/out.pth", "folder exists"),
    ],
)
def test_what_cannot_be_exported(
    decoder: Path, tmp_path: Path, capsys, model: str, out: str, said: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main(["export", model.format(tmp_path), "--out", str(tmp_path / out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tuned_model_is_no_better_than_its_base(tmp_path: Path, capsys) -> None:
    (models_dir()).mkdir(parents=True)
    file = models_dir() / "samri_vitb_box.pth"
    torch.save(tiny_tensors(), file)
    spec = add_tuned(tune("samri-box", tmp_path / "x.safetensors"))
    for expected in ("tuned", "by hand"):
        assert main(["models", "--json"]) == 0
        rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
        assert rows[spec.id]["status"] == expected
        file.unlink(missing_ok=True)


def test_tuned_models_are_listed_and_removed(decoder: Path, capsys) -> None:
    spec = add_tuned(decoder)
    assert main(["models"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith(spec.id))
    assert " tuned " in line
    assert main(["models", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[spec.id]["status"] == "tuned"
    assert rows[spec.id]["path"] == spec.path
    assert main(["models", "--remove", spec.id]) == 0
    assert spec.id in capsys.readouterr().err
    assert main(["models", "--remove", spec.id]) == 2
    assert main(["models", "--remove", "starter"]) == 2

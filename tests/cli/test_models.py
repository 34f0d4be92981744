"""``napari-samri models``."""

from __future__ import annotations

import json
import os
from pathlib import Path

from napari_samri import known_models
from napari_samri.cli import main


def test_the_table_names_every_model_and_the_folder(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    for name in known_models():
        assert f"\n{name} " in "\n" + out
    assert os.environ["NAPARI_SAMRI_MODELS"] in out


def test_json_holds_every_field_and_the_status(capsys):
    assert main(["models", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    for name, spec in known_models().items():
        status = rows[name].pop("status")
        assert rows[name] == spec.as_dict()
        assert status in {"ready", "downloaded", "downloadable", "by hand", "not yet"}
        assert (status == "not yet") == (not spec.available)


def test_a_file_in_the_models_folder_counts_as_downloaded(capsys):
    spec = next(s for s in known_models().values() if s.download and s.available)
    folder = Path(os.environ["NAPARI_SAMRI_MODELS"])
    folder.mkdir(parents=True)
    (folder / spec.download.filename).write_bytes(b"")
    main(["models", "--json"])
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[spec.id]["status"] == "downloaded"


def test_a_damaged_decoder_is_listed_with_what_is_wrong(capsys):
    folder = Path(os.environ["NAPARI_SAMRI_MODELS"]) / "tuned"
    folder.mkdir(parents=True)
    (folder / "odd.safetensors").write_text("no decoder")
    assert main(["models"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "tuned/odd" in line]
    assert "unreadable" in line
    assert "not a readable safetensors file" in line
    assert main(["models", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["tuned/odd"]["status"] == "unreadable"

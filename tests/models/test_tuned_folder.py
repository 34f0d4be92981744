"""The folder of tuned decoders: listed, added under names of their own, removed, and told of."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.models import (
    add_tuned,
    find_model,
    known_models,
    models_changed,
    models_dir,
    needed_model,
    register_model,
    registry,
    remove_tuned,
    unreadable_models,
)
from napari_samri.models.card import Base
from napari_samri.models.tuned import base_of_file, find_base
from tests.tiny import tiny_tensors
from tests.tuning import make_card, make_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def news() -> Iterator[list[int]]:
    """How many models were known at each change."""
    heard: list[int] = []

    def hear() -> None:
        heard.append(len(known_models()))

    models_changed.connect(hear)
    yield heard
    models_changed.disconnect(hear)


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    return make_decoder(tmp_path / "best.safetensors", tiny_tensors())


def tuned() -> list[str]:
    return [name for name in known_models() if name.startswith("tuned/")]


def test_a_decoder_that_is_added_is_known(decoder: Path, news: list[int]) -> None:
    before = len(known_models())
    spec = add_tuned(decoder)
    assert news == [before + 1]
    assert spec.id == "tuned/knee-menisci"
    assert spec == find_model(spec.id) == list(known_models().values())[-1]
    assert (spec.title, spec.family, spec.architecture) == ("Knee menisci", "sam", "vit_b")
    assert "sam-vit-b" in spec.description
    assert "samri-bp" in spec.description
    assert spec.path == str(models_dir() / "tuned" / "knee-menisci.safetensors")
    assert (
        models_dir() / "tuned" / "knee-menisci.safetensors"
    ).read_bytes() == decoder.read_bytes()
    assert json.loads(json.dumps(spec.as_dict()))["path"] == spec.path


def test_a_decoder_needs_the_file_of_its_base(decoder: Path, tmp_path: Path) -> None:
    assert needed_model(add_tuned(decoder), known_models()) == find_model("sam-vit-b")
    base = Base(name="mine.pth", sha256="2" * 64)
    other = add_tuned(make_decoder(tmp_path / "x.safetensors", tiny_tensors(), base=base))
    for spec in (other, find_model("sam-vit-b"), find_model("starter")):
        assert needed_model(spec, known_models()) == spec


@pytest.mark.parametrize("trains_quality", [False, True])
def test_scores_are_stale_unless_they_were_trained(tmp_path: Path, trains_quality: bool) -> None:
    path = make_decoder(tmp_path / "x.safetensors", tiny_tensors(), trains_quality=trains_quality)
    assert add_tuned(path).score_is_stale is not trains_quality


def test_the_same_decoder_is_kept_once(decoder: Path, news: list[int]) -> None:
    spec = add_tuned(decoder)
    assert add_tuned(decoder) == spec
    assert add_tuned(models_dir() / "tuned" / "knee-menisci.safetensors") == spec
    assert len(tuned()) == len(news) == 1


def test_others_of_the_same_title_get_a_number(tmp_path: Path) -> None:
    paths = [make_decoder(tmp_path / f"{i}.safetensors", tiny_tensors(), i) for i in range(3)]
    specs = [add_tuned(path) for path in paths]
    assert [spec.id for spec in specs] == [f"tuned/knee-menisci{n}" for n in ("", "-2", "-3")]
    assert len({spec.title for spec in specs}) == 3


def test_decoders_that_come_at_once_all_get_names(tmp_path: Path) -> None:
    paths = [make_decoder(tmp_path / f"{i}.safetensors", tiny_tensors(), i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        specs = list(pool.map(add_tuned, paths))
    assert len({spec.id for spec in specs}) == len(tuned()) == 8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Mine", "mine"),
        ("../../etc/x", "etc-x"),
        ("a b\\c:d", "a-b-c-d"),
        ("Größe 2", "größe-2"),
        ("…", "decoder"),
        ("x" * 500, "x" * 60),
    ],
)
def test_names_are_made_fit_for_files(decoder: Path, name: str, expected: str) -> None:
    spec = add_tuned(decoder, name)
    assert spec.id == f"tuned/{expected}"
    assert [file.name for file in (models_dir() / "tuned").iterdir()] == [f"{expected}.safetensors"]


def test_files_put_there_by_hand_are_known(decoder: Path) -> None:
    folder = models_dir() / "tuned"
    folder.mkdir(parents=True)
    for name in ("My knees.safetensors", "knees.pth.safetensors"):
        (folder / name).write_bytes(decoder.read_bytes())
    assert tuned() == ["tuned/My knees", "tuned/knees.pth"]
    assert find_model("tuned/My knees").title == "Knee menisci (My knees)"


def test_a_damaged_file_is_left_out_and_told_of_once(
    decoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_tuned(decoder)
    folder = models_dir() / "tuned"
    (folder / "torn.safetensors").write_bytes(decoder.read_bytes()[:1000])
    (folder / "reserved.safetensors").touch()
    (folder / ".being-written.safetensors").write_bytes(b"x")
    (folder / "notes.txt").write_text("not a model")
    (folder / "folder.safetensors").mkdir()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert tuned() == ["tuned/knee-menisci"]
    told = [record.getMessage() for record in caplog.records]
    assert sorted("torn" in line for line in told) == [False, True]
    assert any("folder.safetensors" in line for line in told)


@pytest.mark.parametrize(
    "entries",
    [
        {"objective": ""},
        {"objective": json.loads("[" * 500 + "]" * 500)},
        {"objective": {"name": {"a": float("nan")}}},
        {"scores": {"dice": "good"}},
        {"epochs": 10**400},
        {"title": ["x"]},
    ],
    ids=lambda entries: next(iter(entries)),
)
def test_a_damaged_card_takes_no_other_model_along(decoder: Path, entries: dict[str, Any]) -> None:
    add_tuned(decoder)
    before = known_models()
    header = make_card().to_header()
    card = json.dumps(json.loads(header["card"]) | entries)
    odd = models_dir() / "tuned" / "odd.safetensors"
    save_file({"mask_decoder.x": np.zeros(1)}, odd, metadata=header | {"card": card})
    assert known_models() == before
    (damaged,) = unreadable_models()
    assert damaged.name == "tuned/odd"
    assert "card of this tuned decoder is damaged" in damaged.reason
    assert len(damaged.reason) < 500
    with pytest.raises(ModelError, match=r"tuned/odd.*damaged"):
        find_model("tuned/odd")
    remove_tuned("tuned/odd")
    assert not unreadable_models()


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    spec = add_tuned(make_decoder(tmp_path / "a.safetensors", tiny_tensors()))
    assert spec.path is not None
    target = models_dir() / "tuned" / "knee-menisci.safetensors"
    make_decoder(target, tiny_tensors(), epochs=4000)
    assert "4000 epochs" in find_model(spec.id).description


def test_what_is_no_decoder_is_not_added(tmp_path: Path, news: list[int]) -> None:
    with pytest.raises(InputError, match="no such file"):
        add_tuned(tmp_path / "missing.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    with pytest.raises(ModelError, match="not a readable"):
        add_tuned(tmp_path / "text.safetensors")
    assert not tuned()
    assert not news


def test_a_disk_that_refuses_leaves_nothing_behind(
    decoder: Path, monkeypatch: pytest.MonkeyPatch, news: list[int]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(StoreError, match="No space left"):
        add_tuned(decoder)
    assert not list((models_dir() / "tuned").iterdir())
    assert not news


def test_a_models_folder_that_is_a_file(decoder: Path) -> None:
    models_dir().parent.mkdir(parents=True, exist_ok=True)
    models_dir().write_text("in the way")
    assert known_models()
    with pytest.raises(StoreError, match="folder cannot be made"):
        add_tuned(decoder)


def test_only_tuned_decoders_are_removed(decoder: Path, news: list[int]) -> None:
    spec = add_tuned(decoder)
    for name in ("starter", "sam-vit-b", "tuned/../x", "nothing", ""):
        with pytest.raises(InputError, match="tuned/knee-menisci"):
            remove_tuned(name)
    remove_tuned(spec.id)
    assert not tuned()
    assert len(news) == 2
    with pytest.raises(InputError, match="there are none"):
        remove_tuned(spec.id)
    assert decoder.is_file()


def test_registering_a_model_is_told(news: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.MODELS, "_registered", [])
    register_model(replace(find_model("sam-vit-b"), id="mine"))
    assert len(news) == 1


# Bases.


def test_a_base_is_found_beside_then_among_the_models_then_where_it_was(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere" / "knees.pth"
    source.parent.mkdir()
    source.write_bytes(b"weights")
    base = base_of_file(source)
    assert base.name == "knees.pth"
    decoder = tmp_path / "run" / "best.safetensors"
    decoder.parent.mkdir()
    assert find_base(base, decoder) == source.resolve()
    for place in (models_dir(), decoder.parent):
        (place / "knees.pth").write_bytes(b"weights")
        assert find_base(base, decoder) == place / "knees.pth"


def test_a_base_that_has_gone_is_not_found(tmp_path: Path) -> None:
    source = tmp_path / "knees.pth"
    source.write_bytes(b"weights")
    base = base_of_file(source)
    source.unlink()
    decoder = tmp_path / "run" / "best.safetensors"
    assert find_base(base, decoder) is None
    assert find_base(Base(name="x.pth", sha256="2" * 64), decoder) is None


def test_a_base_that_cannot_be_remembered_is_no_error(tmp_path: Path) -> None:
    models_dir().parent.mkdir(parents=True, exist_ok=True)
    models_dir().write_text("in the way")
    source = tmp_path / "knees.pth"
    source.write_bytes(b"weights")
    assert find_base(base_of_file(source), tmp_path / "run" / "x.safetensors") is None


def test_a_damaged_decoder_is_not_added(tmp_path: Path) -> None:
    path = make_decoder(tmp_path / "knees.safetensors", tiny_tensors())
    content = bytearray(path.read_bytes())
    content[-2] ^= 64
    path.write_bytes(content)
    with pytest.raises(ModelError, match="digest"):
        add_tuned(path)
    assert not list(models_dir().rglob("*.safetensors"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"x" * 5000, b"x" * 100_000])
def test_a_damaged_hint_of_a_base_leads_nowhere(tmp_path: Path, content: bytes) -> None:
    hint = models_dir() / "bases" / f"{'2' * 64}.txt"
    hint.parent.mkdir(parents=True)
    hint.write_bytes(content)
    decoder = tmp_path / "x.safetensors"
    assert find_base(Base(name="x.pth", sha256="2" * 64), decoder) is None
    assert find_base(Base(name="x" * 900, sha256="2" * 64), decoder) is None

"""Models by name or path: the right network and preprocessing, or an error that says why not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import napari_samri
from napari_samri.embeddings import EmbeddingCache
from napari_samri.errors import DownloadError, InputError, InputWarning, ModelError
from napari_samri.models import Download, ModelSpec, find_model, loading, models_dir
from napari_samri.models.loading import load_model
from napari_samri.models.preprocessing import MEDSAM, SAM
from napari_samri.segment.predictor import Predictor
from tests.tiny import install_tiny, tiny_tensors, with_other_decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    Tensors = dict[str, torch.Tensor]

STARTER_FILE = Path(napari_samri.__file__).parent / "models" / "starter" / loading.STARTER_WEIGHTS
TINY_VIT = "image_encoder.patch_embed.seq.0.c.weight"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return tiny_tensors()


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tiny network stand for ViT-B."""
    install_tiny(monkeypatch)


def saved(content: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def check_runs(model: loading.LoadedModel) -> None:
    """Segment once with what was loaded."""
    image = np.random.default_rng(0).normal(size=(40, 32))
    predictor = Predictor(model, EmbeddingCache())
    candidates = predictor.predict(predictor.embed(image), box_xyxy=[4, 5, 20, 30])
    assert candidates.masks.shape == (1, 40, 32)
    assert np.isfinite(candidates.logits).all()


# By path.


@pytest.mark.parametrize("as_text", [False, True])
def test_a_sam_checkpoint_by_path(tmp_path: Path, tensors: Tensors, as_text: bool) -> None:
    path = saved(tensors, tmp_path / "any_name.pth")
    model = load_model(str(path) if as_text else path, "cpu")
    assert model.preprocessing is SAM
    assert (model.spec.id, model.spec.architecture) == ("any_name", "vit_b")
    assert model.device == torch.device("cpu")
    assert str(path) in model.spec.description
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    check_runs(model)


def test_a_tilde_is_the_home_folder(
    tmp_path: Path, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    saved(tensors, tmp_path / "model.pth")
    assert load_model("~/model.pth", "cpu").preprocessing is SAM


def wrapped(tensors: Tensors) -> dict[str, dict[str, Any]]:
    return {
        "SAM and SAMRI": tensors,
        "MedSAM training": {"model": {f"module.{k}": v for k, v in tensors.items()}, "epoch": 1},
        "MedicoSAM training": {
            "model_state": {f"sam.{k}": v for k, v in tensors.items()},
            "decoder_state": {"x": torch.ones(1)},
        },
    }


@pytest.mark.parametrize("layout", ["SAM and SAMRI", "MedSAM training", "MedicoSAM training"])
def test_every_layout_loads_the_same_model(tmp_path: Path, tensors: Tensors, layout: str) -> None:
    plain = load_model(saved(tensors, tmp_path / "plain.pth"), "cpu")
    tuned = wrapped(with_other_decoder(tensors))[layout]
    model = load_model(saved(tuned, tmp_path / "tuned.pt"), "cpu")
    assert model.encoder == plain.encoder
    name = "mask_decoder.mask_tokens.weight"
    assert torch.equal(model.network.state_dict()[name], tensors[name] + 0.01)


@pytest.mark.parametrize("name", ["medsam_vit_b.pth", "MedSAM-best.pt", "my_medsam.safetensors"])
def test_medsam_is_told_by_its_name_and_said(tmp_path: Path, tensors: Tensors, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        saved(tensors, path)
    with pytest.warns(InputWarning, match=f"{name}: taken for a MedSAM checkpoint"):
        model = load_model(path, "cpu")
    assert model.preprocessing is MEDSAM
    assert load_model(path, "cpu", family="sam").preprocessing is SAM


@pytest.mark.parametrize("name", ["vit_b_medicosam.pt", "sam_vit_b_01ec64.pth", "samri_box.pth"])
def test_other_names_mean_sams_preprocessing(tmp_path: Path, tensors: Tensors, name: str) -> None:
    path = saved(tensors, tmp_path / name)
    assert load_model(path, "cpu").preprocessing is SAM
    medsam = load_model(path, "cpu", family="medsam")
    assert medsam.preprocessing is MEDSAM
    check_runs(medsam)


@pytest.mark.parametrize("family", ["starter", "litemedsam", "xyz", ""])
def test_a_family_that_does_not_fit_is_refused(
    tmp_path: Path, tensors: Tensors, family: str
) -> None:
    path = saved(tensors, tmp_path / "model.pth")
    if family == "":
        assert load_model(path, "cpu", family=family).preprocessing is SAM
        return
    with pytest.raises(ModelError, match=f"'{family}' does not fit.*sam or medsam"):
        load_model(path, "cpu", family=family)


@pytest.mark.parametrize("family", ["sam", "medsam"])
def test_the_starter_has_its_own_family_only(family: str) -> None:
    with pytest.raises(ModelError, match=f"'{family}' does not fit.*expected starter"):
        load_model("starter", "cpu", family=family)


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({TINY_VIT: torch.ones(32, 3, 1, 1)}, "missing: image_encoder"),
        ({"model": {"image_encoder.trunk.pos_embed": torch.ones(2)}}, "SAM 2"),
        ({"model": {"image_encoder.blocks.0.Adapter.x": torch.ones(2)}}, "SAM-Med2D"),
        ({"conv1.weight": torch.ones(2)}, "conv1.weight"),
    ],
)
@pytest.mark.parametrize("stem", ["model", "lite_medsam"])
def test_what_cannot_run_is_refused_by_name(
    tmp_path: Path, tensors: Tensors, named: str, stem: str
) -> None:
    path = saved(tensors, tmp_path / f"{stem}.pth")
    with pytest.raises(ModelError, match=named) as caught:
        load_model(path, "cpu")
    assert str(path) in str(caught.value)


def test_tensors_that_do_not_fit_are_named(tmp_path: Path, tensors: Tensors) -> None:
    changed = {k: v for k, v in tensors.items() if k != "mask_decoder.iou_token.weight"}
    changed["image_encoder.neck.0.weight"] = torch.ones(2, 2)
    changed["left.over"] = torch.ones(1)
    with pytest.raises(ModelError) as caught:
        load_model(saved(changed, tmp_path / "model.pth"), "cpu")
    for name in ("mask_decoder.iou_token.weight", "image_encoder.neck.0.weight", "left.over"):
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["missing.pth", "missing.pt", "folder/missing.safetensors"])
def test_a_missing_checkpoint_is_not_taken_for_a_model_id(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_model(tmp_path / name, "cpu")


@pytest.mark.parametrize("name", ["no-such-model", "", "sam-vit-x", "weights.onnx"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="neither a known model nor a checkpoint file"):
        load_model(name, "cpu")


# By id.


def test_the_starter_is_in_the_package() -> None:
    model = load_model("starter", "cpu")
    assert model.preprocessing.id == model.spec.family == "starter"
    assert model.encoder == load_model(STARTER_FILE, "cpu").encoder
    check_runs(model)


def test_a_model_of_the_catalogue_put_there_by_hand(tensors: Tensors) -> None:
    spec = find_model("samri-box")
    assert spec.download is not None
    with pytest.raises(DownloadError, match="by hand"):
        load_model("samri-box", "cpu")
    saved(tensors, models_dir() / spec.download.filename)
    model = load_model("samri-box", "cpu")
    assert model.spec == spec
    assert model.preprocessing is SAM


def test_a_model_of_the_catalogue_with_a_wrong_file(tensors: Tensors) -> None:
    spec = find_model("sam-vit-b")
    assert spec.download is not None
    path = saved(tensors, models_dir() / spec.download.filename)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DownloadError, match=digest):
        load_model("sam-vit-b", "cpu")


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelSpec]:
    def register(**changes: Any) -> ModelSpec:
        base = ModelSpec(
            id="mine",
            title="Mine",
            family="sam",
            architecture="vit_b",
            download=Download(filename="mine.pth"),
            licence="",
            description="",
        )
        spec = replace(base, **changes)
        monkeypatch.setattr("napari_samri.models.registry.MODELS._registered", [spec])
        return spec

    return register


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"architecture": "vit_h"}, "Mine is vit_h"),
        ({"family": "another"}, "'another' does not fit"),
    ],
)
def test_a_file_that_belies_its_entry_is_refused(
    tensors: Tensors, register: Callable[..., ModelSpec], changes: dict[str, str], expected: str
) -> None:
    register(**changes)
    saved(tensors, models_dir() / "mine.pth")
    with pytest.raises(ModelError, match=expected):
        load_model("mine", "cpu")


def test_a_registered_model_loads_with_its_family(
    tensors: Tensors, register: Callable[..., ModelSpec]
) -> None:
    spec = register(family="medsam")
    saved(tensors, models_dir() / "mine.pth")
    model = load_model("mine", "cpu")
    assert (model.spec, model.preprocessing) == (spec, MEDSAM)
    assert load_model("mine", "cpu", family="sam").spec == replace(spec, family="sam")


# The starter's format.


def starter_header() -> dict[str, str]:
    from napari_samri.models.checkpoint import read_checkpoint

    return read_checkpoint(STARTER_FILE).header


@pytest.mark.parametrize(
    "change",
    [
        {"version": "99"},
        {"format": "other"},
        {"config": "not json"},
        {"config": "[]"},
        {"config": json.dumps({"colour": "blue"})},
        {"config": json.dumps({"widths": 3})},
        {"config": None},
    ],
    ids=["version", "format", "no json", "no object", "unknown option", "wrong type", "missing"],
)
def test_a_starter_file_with_a_wrong_header_is_refused(
    tmp_path: Path, change: dict[str, str | None]
) -> None:
    path = tmp_path / "starter.safetensors"
    header = {k: v for k, v in (starter_header() | change).items() if v is not None}
    save_file(load_file(STARTER_FILE), path, metadata=header)
    with pytest.raises(ModelError) as caught:
        load_model(path, "cpu")
    assert str(path) in str(caught.value)


def test_starter_tensors_without_their_header_are_refused(tmp_path: Path) -> None:
    path = saved(load_file(STARTER_FILE), tmp_path / "starter.pth")
    with pytest.raises(ModelError, match="header"):
        load_model(path, "cpu")


def test_a_device_that_is_not_there_is_replaced() -> None:
    last = max(torch.cuda.device_count(), 1) + 7
    with pytest.warns(InputWarning, match="not available"):
        model = load_model("starter", f"cuda:{last}")
    assert next(model.network.parameters()).device.type == model.device.type


def test_an_unknown_device_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a device"):
        load_model(tmp_path / "missing.pth", "gpu")

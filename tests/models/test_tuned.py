"""Tuned decoders in the place of their base's, by path and by id; never on another encoder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_samri.embeddings import EmbeddingCache
from napari_samri.errors import DownloadError, InputWarning, ModelError
from napari_samri.models import add_tuned, known_models, models_dir, registry
from napari_samri.models.card import Base, DecoderCard, read_decoder_card
from napari_samri.models.checkpoint import read_checkpoint
from napari_samri.models.loading import load_model
from napari_samri.models.preprocessing import MEDSAM, SAM
from napari_samri.models.tuned import card_of, with_decoder, write_decoder
from napari_samri.segment.predictor import load_predictor
from tests.tiny import install_tiny, tiny_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.models import LoadedModel

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tiny network stand for ViT-B."""
    install_tiny(monkeypatch)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "hospital.pth"
    path.parent.mkdir()
    torch.save(tiny_tensors(), path)
    return path


def tune(
    model: LoadedModel, path: Path, *, title: str = "Knees", trains_quality: bool = False
) -> Path:
    """Write a decoder that differs from the model's."""
    path.parent.mkdir(exist_ok=True)
    card = card_of(
        model, title=title, objective={"name": "samri-bp"}, trains_quality=trains_quality
    )
    tensors = {k: v + 0.01 for k, v in model.network.state_dict().items()}
    write_decoder(path, tensors, replace(card, epochs=3))
    return path


@pytest.fixture
def decoder(checkpoint: Path, tmp_path: Path) -> Path:
    return tune(load_model(checkpoint, "cpu"), tmp_path / "run" / "best.safetensors")


def check_tuned(model: LoadedModel, base: LoadedModel) -> None:
    """The decoder is the tuned one, all the rest the base's, on frozen parameters."""
    assert model.encoder == base.encoder
    expected = base.network.state_dict()
    for name, value in model.network.state_dict().items():
        shift = 0.01 if name.startswith("mask_decoder.") else 0.0
        assert torch.equal(value, expected[name] + shift), name
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert not model.network.training


def test_a_base_stays_as_it_was_and_shares_its_encoder(decoder: Path, checkpoint: Path) -> None:
    base = load_model(checkpoint, "cpu")
    before = {name: value.clone() for name, value in base.network.state_dict().items()}
    file = read_checkpoint(decoder)
    card = DecoderCard.from_header(file.header, decoder)
    model = with_decoder(base, file, card, base.spec)
    check_tuned(model, base)
    tensors = base.network.state_dict()
    assert all(torch.equal(value, tensors[name]) for name, value in before.items())
    for name, value in model.network.state_dict().items():
        shared = value.data_ptr() == tensors[name].data_ptr()
        assert shared is not name.startswith("mask_decoder."), name


def test_a_decoder_by_path_finds_the_checkpoint_it_was_tuned_from(
    decoder: Path, checkpoint: Path
) -> None:
    model = load_model(decoder, "cpu")
    check_tuned(model, load_model(checkpoint, "cpu"))
    assert (model.spec.id, model.spec.title) == ("best", "Knees")
    assert model.spec.architecture == "vit_b"
    assert model.spec.score_is_stale
    assert model.preprocessing == replace(SAM, exact=True)
    assert model.card == read_decoder_card(decoder)


def test_a_decoder_by_id(decoder: Path, checkpoint: Path) -> None:
    spec = add_tuned(decoder)
    model = load_model(spec.id, "cpu")
    assert model.spec == spec
    check_tuned(model, load_model(checkpoint, "cpu"))


def test_a_decoder_of_the_starter(tmp_path: Path) -> None:
    starter = load_model("starter", "cpu")
    path = tune(starter, tmp_path / "x.safetensors", trains_quality=True)
    assert read_decoder_card(path).base == Base(name="starter")
    model = load_model(add_tuned(path).id, "cpu")
    check_tuned(model, starter)
    assert not model.spec.score_is_stale
    assert model.preprocessing.id == "starter"


def test_a_decoder_of_a_known_model(tmp_path: Path) -> None:
    models_dir().mkdir(parents=True)
    torch.save(tiny_tensors(), models_dir() / "samri_vitb_box.pth")
    base = load_model("samri-box", "cpu")
    path = tune(base, tmp_path / "x.safetensors", trains_quality=True)
    model = load_model(path, "cpu")
    check_tuned(model, base)
    assert base.spec.score_is_stale
    assert not model.spec.score_is_stale
    (models_dir() / "samri_vitb_box.pth").unlink()
    with pytest.raises(DownloadError, match=r"samri_vitb_box\.pth"):
        load_model(path, "cpu")


def test_a_family_that_was_chosen_stays_with_the_decoder(checkpoint: Path, tmp_path: Path) -> None:
    path = tune(load_model(checkpoint, "cpu", family="medsam"), tmp_path / "x.safetensors")
    exact = replace(MEDSAM, exact=True)  # as decoders are tuned here
    assert load_model(path, "cpu").preprocessing == exact
    assert load_model(path, "cpu", family="medsam").preprocessing == exact
    with pytest.raises(ModelError, match="'medsam', and runs with that only; 'sam'"):
        load_model(path, "cpu", family="sam")


def test_a_medsam_base_is_not_guessed_anew(tmp_path: Path) -> None:
    path = tmp_path / "medsam_knees.pth"
    torch.save(tiny_tensors(), path)
    with pytest.warns(InputWarning, match="taken for a MedSAM"):
        base = load_model(path, "cpu")
    decoder = tune(base, tmp_path / "x.safetensors")
    assert load_model(decoder, "cpu").preprocessing.id == MEDSAM.id  # warnings are errors


def test_a_decoder_that_is_tuned_again_keeps_its_base(decoder: Path, tmp_path: Path) -> None:
    once = load_model(add_tuned(decoder).id, "cpu")
    twice = tune(once, tmp_path / "twice.safetensors", title="Knees again")
    assert read_decoder_card(twice).base == read_decoder_card(decoder).base
    check_tuned(load_model(twice, "cpu"), once)


# Embeddings.


def test_embeddings_that_were_made_before_fit(
    decoder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).normal(size=(40, 32))
    cache = EmbeddingCache(tmp_path / "cache")
    base = load_predictor(checkpoint, "cpu", cache)
    first = base.embed(image)

    def fail(*_: object) -> Any:
        pytest.fail("the encoder was called")

    monkeypatch.setattr("napari_samri.segment.predictor.encode", fail)
    tuned = load_predictor(add_tuned(decoder).id, "cpu", EmbeddingCache(tmp_path / "cache"))
    second = tuned.embed(image)
    assert second.key == first.key
    box = [4, 5, 20, 30]
    answers = [p.predict(second, box_xyxy=box).logits for p in (base, tuned)]
    assert not np.allclose(*answers), "the decoder is another one"


# Where the base is.


def test_a_base_beside_the_decoder_or_among_the_models_will_do(
    decoder: Path, checkpoint: Path
) -> None:
    base = load_model(checkpoint, "cpu")
    shutil.move(checkpoint, decoder.parent / checkpoint.name)
    check_tuned(load_model(decoder, "cpu"), base)
    models_dir().mkdir(parents=True, exist_ok=True)
    shutil.move(decoder.parent / checkpoint.name, models_dir() / checkpoint.name)
    check_tuned(load_model(decoder, "cpu"), base)


def test_a_base_that_is_not_here_is_named_and_can_be_given(
    decoder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "other name.pth"
    shutil.move(checkpoint, elsewhere)
    with pytest.raises(ModelError) as caught:
        load_model(decoder, "cpu")
    card = read_decoder_card(decoder)
    for part in (str(decoder), "hospital.pth", str(card.base.sha256), str(models_dir()), "base="):
        assert part in str(caught.value)
    loaded = load_model(decoder, "cpu", base=elsewhere)
    check_tuned(loaded, load_model(elsewhere, "cpu"))
    # From now on it is known where the base is.
    check_tuned(load_model(add_tuned(decoder).id, "cpu"), load_model(elsewhere, "cpu"))


def test_a_base_may_be_a_known_model_with_the_same_encoder(decoder: Path, checkpoint: Path) -> None:
    models_dir().mkdir(parents=True, exist_ok=True)
    tensors = {k: v + k.startswith("mask_decoder.") for k, v in tiny_tensors().items()}
    torch.save(tensors, models_dir() / "samri_vitb_bp.pth")
    base = load_model(checkpoint, "cpu")
    checkpoint.unlink()
    check_tuned(load_model(decoder, "cpu", base="samri-bp"), base)


@pytest.mark.parametrize(
    ("part", "named"), [("image_encoder.", "the encoder"), ("prompt_encoder.", "prompt encoder")]
)
def test_another_encoder_is_refused_by_name(
    decoder: Path, checkpoint: Path, tmp_path: Path, part: str, named: str
) -> None:
    expected = load_model(checkpoint, "cpu").encoder
    other = tmp_path / "other.pth"
    tensors = {k: v + 0.01 if k.startswith(part) else v for k, v in tiny_tensors().items()}
    torch.save(tensors, other)
    with pytest.raises(ModelError) as caught:
        load_model(decoder, "cpu", base=other)
    message = str(caught.value)
    for text in (str(decoder), "hospital.pth", str(other), named):
        assert text in message
    if part == "image_encoder.":
        assert expected in message
        assert load_model(other, "cpu").encoder in message


def test_an_unknown_id_is_told(decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(known_models()["starter"], id="my-starter", download=None)
    monkeypatch.setattr(registry.MODELS, "_registered", [spec])
    path = tune(load_model("my-starter", "cpu"), decoder)
    monkeypatch.setattr(registry.MODELS, "_registered", [])
    with pytest.raises(ModelError, match="tuned from my-starter, which is not here"):
        load_model(path, "cpu")
    assert load_model(path, "cpu", base="starter").spec.title == "Knees"


def test_a_base_has_to_be_a_whole_model(decoder: Path) -> None:
    with pytest.raises(ModelError, match="expected the whole model"):
        load_model(decoder, "cpu", base=decoder)
    with pytest.raises(ModelError, match="expected the whole model"):
        load_model(decoder, "cpu", base=add_tuned(decoder).id)


def test_whole_checkpoints_need_no_base(checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="needs no base"):
        load_model(checkpoint, "cpu", base="starter")


def test_another_preprocessing_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    base = load_model(checkpoint, "cpu")
    card = card_of(base, title="Old", objective={}, trains_quality=False)
    path = tmp_path / "old.safetensors"
    write_decoder(path, base.network.state_dict(), replace(card, preprocessing="minmax.v0"))
    with pytest.raises(ModelError, match=r"preprocessing minmax\.v0"):
        load_model(path, "cpu")


@pytest.mark.parametrize("change", ["missing", "left over", "shape"])
def test_tensors_have_to_fit_exactly(checkpoint: Path, tmp_path: Path, change: str) -> None:
    base = load_model(checkpoint, "cpu")
    tensors = dict(base.network.state_dict())
    name = "mask_decoder.iou_token.weight"
    if change == "missing":
        del tensors[name]
    elif change == "shape":
        tensors[name] = torch.ones(2, 2)
    else:
        name = "mask_decoder.extra"
        tensors[name] = torch.ones(1)
    path = tmp_path / "x.safetensors"
    write_decoder(path, tensors, card_of(base, title="x", objective={}, trains_quality=False))
    with pytest.raises(ModelError, match=name) as caught:
        load_model(path, "cpu")
    assert str(path) in str(caught.value)


def test_paths_stay_on_this_machine(decoder: Path, checkpoint: Path) -> None:
    assert str(checkpoint.parent).encode() not in decoder.read_bytes()

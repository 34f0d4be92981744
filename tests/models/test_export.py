"""Exported checkpoints: SAM's own layout, the same model, and nothing else in the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from napari_samri.embeddings import EmbeddingCache
from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.models.export import export_checkpoint
from napari_samri.models.loading import load_model
from napari_samri.models.preprocessing import SAM
from napari_samri.models.tuned import card_of, write_decoder
from napari_samri.segment.predictor import Predictor
from tests.tiny import build_tiny, install_tiny, tiny_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.models import LoadedModel

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tiny network stand for ViT-B."""
    install_tiny(monkeypatch)

    def build(checkpoint: str | None = None) -> torch.nn.Module:
        """Build it and load as the library does."""
        sam = build_tiny()
        if checkpoint is not None:
            with open(checkpoint, "rb") as file:
                sam.load_state_dict(torch.load(file, weights_only=True))
        return sam

    monkeypatch.setitem(sam_model_registry, "vit_b", build)


@pytest.fixture
def tuned(tmp_path: Path) -> LoadedModel:
    torch.save(tiny_tensors(), tmp_path / "base.pth")
    base = load_model(tmp_path / "base.pth", "cpu")
    path = tmp_path / "tuned.safetensors"
    card = card_of(base, title="Knees", objective={"name": "x"}, trains_quality=False)
    write_decoder(path, {k: v + 0.01 for k, v in base.network.state_dict().items()}, card)
    return load_model(path, "cpu")


@pytest.mark.parametrize("name", ["out.pth", "out.pt"])
def test_the_library_loads_it_strictly_and_answers_the_same(
    tuned: LoadedModel, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    export_checkpoint(tuned, path)
    library = SamPredictor(sam_model_registry["vit_b"](checkpoint=str(path)).eval())
    image = np.random.default_rng(0).integers(0, 256, (80, 64), np.uint8)
    image.flat[:2] = 0, 255  # so that the range is that of the library
    library.set_image(np.repeat(image[..., None], 3, axis=2))
    box = np.array([10, 12, 50, 60])
    expected, scores, _ = library.predict(box=box, multimask_output=True)
    # The library knows one map of prompts only, and this decoder was tuned by the other.
    ours = Predictor(replace(tuned, preprocessing=SAM), EmbeddingCache())
    found = ours.predict(ours.embed(image), box_xyxy=box, multimask=True)
    assert (found.masks != expected).mean() < 1e-4
    np.testing.assert_allclose(found.scores, scores, rtol=1e-3, atol=1e-4)


def test_the_file_holds_plain_tensors_under_sams_names(tuned: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "out.pth"
    export_checkpoint(tuned, path)
    content = torch.load(path, weights_only=True)
    assert type(content) is dict
    assert list(content) == list(build_tiny().state_dict())
    assert all(type(value) is torch.Tensor for value in content.values())
    assert all(not value.requires_grad for value in content.values())
    weights = sum(4 * value.numel() for value in content.values())
    assert path.stat().st_size < weights + 1000 * len(content)
    assert str(tmp_path).encode() not in path.read_bytes()


def test_an_exported_model_is_the_model(tuned: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "out.pth"
    export_checkpoint(tuned, path)
    model = load_model(path, "cpu")
    assert model.encoder == tuned.encoder
    expected = tuned.network.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in model.network.state_dict().items())
    again = tmp_path / "again.pth"
    export_checkpoint(model, again)
    assert again.read_bytes() == path.read_bytes()


def test_what_the_library_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Starter is a starter network.*expected vit_b"):
        export_checkpoint(load_model("starter", "cpu"), tmp_path / "out.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.safetensors", "out", "out.pth.gz"])
def test_other_names_are_refused(tuned: LoadedModel, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.pth or \.pt"):
        export_checkpoint(tuned, tmp_path / name)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("failed writing")])
def test_a_disk_that_refuses_leaves_what_was_there(
    tuned: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "out.pth"
    path.write_bytes(b"before")
    before = sorted(tmp_path.iterdir())

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(StoreError):
        export_checkpoint(tuned, path)
    assert path.read_bytes() == b"before"
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_was_not_written_as_meant_is_not_kept(
    tuned: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda x, file: save({k: v + 1 for k, v in x.items()}, file))
    with pytest.raises(StoreError, match="not what was to be written"):
        export_checkpoint(tuned, tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()

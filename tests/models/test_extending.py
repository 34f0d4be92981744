"""A network, a preprocessing and a task from another package, used without touching a file.

The package is installed as pip would lay it out: a module, and entry points. Its network is no
SAM's: it has a convolution for an encoder, and another one for a decoder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_samri import EmbeddingCache, load_predictor
from napari_samri.datasets import read_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import ModelError
from napari_samri.jobs import is_last
from napari_samri.models import architecture, find_architecture, load_model, preprocessing
from napari_samri.prompts import Box, Prompt
from napari_samri.segment import ModelChoice
from napari_samri.segment.protocol import Answered, Load, Loaded, Predict, Reply
from napari_samri.session.engine import ProcessEngine
from napari_samri.training import TrainConfig, find_objective, fit
from napari_samri.work import EmbedConfig, embed_bank, task_to_json
from napari_samri.work.registry import TASKS
from tests.work.making import make_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120  # seconds
PACKAGE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from napari_samri import EmbeddingCache, load_predictor
from napari_samri.geometry import LongestSideFrame
from napari_samri.jobs import Finished, never
from napari_samri.models import (
    CORNER_HIGH, CORNER_LOW, Architecture, Layout, Preprocessing, fill, watched,
)
from napari_samri.work import Task


class Blob(torch.nn.Module):
    """Answers a box with its inside, where the features agree."""

    layout = Layout(input_size=64, channels=1, low_res_size=32, features={"image": (4, 8, 8)})

    def __init__(self):
        super().__init__()
        self.image_encoder = torch.nn.Conv2d(1, 4, 8, stride=8)
        self.mask_decoder = torch.nn.Conv2d(5, 3, 1)

    @property
    def trainable(self):
        return self.mask_decoder

    def encode(self, images, watch=None):
        with watched(self.image_encoder, watch):
            return {"image": self.image_encoder(images)}

    def decode(self, features, prompts, *, image=None, choose=None):
        count = len(prompts.labels)
        image = torch.zeros(count, dtype=torch.long) if image is None else image
        axis = torch.arange(32) * 2 + 0.5
        low, high = (
            (prompts.points_input * (prompts.labels == corner)[..., None]).sum(dim=1)
            for corner in (CORNER_LOW, CORNER_HIGH)
        )
        x, y = ((axis >= low[:, i, None]) & (axis <= high[:, i, None]) for i in (0, 1))
        inside = 8.0 * (y[:, None, :, None] & x[:, None, None, :]) - 4
        grid = interpolate(features["image"], (32, 32))[image]
        logits = inside + self.mask_decoder(torch.cat([grid, inside], dim=1))
        scores = logits.mean(dim=(2, 3)).sigmoid()
        if choose is None:
            return logits, scores
        chosen = choose(scores)
        return logits.take_along_dim(chosen[..., None, None], dim=1), scores.gather(1, chosen)


def build(checkpoint):
    network = Blob()
    fill(network, checkpoint)
    return network.eval()


def frame(slice_shape, *, exact):
    return LongestSideFrame(slice_shape, 64, 32, exact=exact)


def channel(image):
    return image[None] / 255


blob = Architecture(
    id="blob",
    title="Blob",
    fits=lambda shapes: shapes.get("image_encoder.weight") == (4, 1, 8, 8),
    build=build,
    family="small",
)
small = Preprocessing(
    id="small",
    identity="minmax-u8.longest-64-pil.unit.v1",
    frame=frame,
    normalise=channel,
    channels=1,
    exact=True,
)


@dataclass(frozen=True, kw_only=True)
class Measuring(Task):
    """Measures the mask of a box on a slice of noise."""

    id: ClassVar[str] = "measuring"

    model: str
    box: tuple[int, int, int, int]

    @property
    def name(self):
        return self.model

    def events(self, cancel=never):
        predictor = load_predictor(self.model, "cpu", EmbeddingCache())
        embedding = predictor.embed(np.random.default_rng(0).normal(size=(64, 64)))
        mask = predictor.predict(embedding, box_xyxy=self.box).masks[0]
        yield Finished(text=f"{mask.sum()} pixels")


def tasks():
    return Measuring
'''


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the package, and return a checkpoint of its network."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "blobs.py").write_text(PACKAGE)
    info = folder / "blobs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: blobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[napari_samri.architectures]\nblob = blobs:blob\n"
        "[napari_samri.preprocessings]\nsmall = blobs:small\n"
        "[napari_samri.tasks]\nmeasuring = blobs:tasks\n"
    )
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", path)  # of children
        for registry in (architecture.ARCHITECTURES, preprocessing.PREPROCESSINGS, TASKS):
            patch.setattr(registry, "_found", None)  # nothing has been looked for
        import blobs  # type: ignore[import-not-found]

        torch.manual_seed(0)
        torch.save(blobs.Blob().state_dict(), folder / "model.pth")
        yield folder / "model.pth"
        sys.modules.pop("blobs")


def test_it_is_known_by_its_tensors_and_predicts(model: Path) -> None:
    found = load_model(model, "cpu")
    assert (found.spec.architecture, found.preprocessing.id) == ("blob", "small")
    assert find_architecture("blob").title == "Blob"
    with pytest.raises(ModelError, match=r"'sam' does not fit a blob checkpoint.*expected small"):
        load_model(model, "cpu", family="sam")

    predictor = load_predictor(model, "cpu", EmbeddingCache())
    image = np.random.default_rng(0).normal(size=(64, 48))
    embedding = predictor.embed(image)
    assert embedding.features["image"].shape == (4, 8, 8)
    mask = predictor.predict(embedding, box_xyxy=[8, 10, 31, 41]).masks[0]
    expected = np.zeros((64, 48), bool)
    expected[10:42, 8:32] = True
    assert (mask & expected).sum() > 0.9 * (mask | expected).sum()
    assert len(predictor.predict(embedding, box_xyxy=[8, 10, 31, 41], multimask=True).masks) == 2


def test_it_fills_a_bank_and_is_tuned_on_it(model: Path, tmp_path: Path) -> None:
    manifest = make_data(tmp_path / "data", 2)
    bank = tmp_path / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=manifest, out=bank, model=str(model), device="cpu")))
    opened = Bank(bank)
    assert (opened.header.architecture, opened.header.family) == ("blob", "small")
    assert len(opened) == sum(len(study.slices) for study in read_manifest(manifest).studies)
    run = TrainConfig(
        bank=bank,
        out=tmp_path / "run",
        model=str(model),
        objective=find_objective("samri-box"),
        epochs=2,
        learning_rate=1e-2,
        device="cpu",
    )
    assert is_last(list(fit(run))[-1])
    before, tuned = load_model(model, "cpu"), load_model(run.out / "best.safetensors", "cpu")
    assert (tuned.encoder, tuned.preprocessing) == (before.encoder, before.preprocessing)
    weights = [each.network.trainable.state_dict()["weight"] for each in (before, tuned)]
    assert not torch.equal(*weights)


def test_it_runs_in_the_process_of_a_viewer(model: Path) -> None:
    engine = ProcessEngine()
    pixels = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    try:
        engine.submit(Load(number=1, choice=ModelChoice(model=str(model), device="cpu")))
        assert next_of(engine, Loaded).info.title == "model"
        engine.submit(Predict(number=2, pixels=pixels, prompts=(Prompt(Box(8, 10, 31, 41)),)))
        answer = next_of(engine, Answered)
    finally:
        engine.close()
    assert answer.masks.shape == (1, 64, 48)
    assert answer.masks[0, 20:30, 15:25].all()


def test_its_task_is_done_by_another_process(model: Path) -> None:
    import blobs

    task = blobs.Measuring(model=str(model), box=(8, 10, 31, 41))
    command = [sys.executable, "-m", "napari_samri.work", json.dumps(task_to_json(task))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    (event,) = task.events()
    assert 600 < int(event.text.split()[0]) < 900
    assert event.text in done.stdout + done.stderr


def next_of(engine: ProcessEngine, kind: type[Any]) -> Any:
    """Return the next event of a kind; any other outcome of a call fails."""
    while True:
        reply = engine.events.get(timeout=PATIENCE)
        assert isinstance(reply, Reply), reply
        if isinstance(reply.event, kind):
            return reply.event
        assert not is_last(reply.event), reply

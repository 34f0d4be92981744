"""The starter: its file, its synthetic data, its recipe, and that it is of use."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from napari_samri.errors import InputError, ModelError
from napari_samri.models.checkpoint import read_checkpoint
from napari_samri.models.starter.network import StarterConfig, StarterNetwork, resize_network
from napari_samri.models.starter.weights import build_starter, check_packaged, save_starter
from napari_samri.training.starter.affinity import Affinity
from napari_samri.training.starter.objective import ObjectiveConfig, batch_loss
from napari_samri.training.starter.samples import Batch, Stage, SyntheticBatches, draw_sample
from napari_samri.training.starter.synthetic import label_map, render, sample_targets
from napari_samri.training.starter.train import Recipe, Trainer, main

if TYPE_CHECKING:
    from napari_samri import Predictor

WEIGHTS = Path(str(files("napari_samri.models.starter") / "starter.safetensors"))
TINY = StarterConfig(widths=(8, 8, 8, 8), depths=(1, 1, 1, 1), embedding_channels=16, mlp_width=16)


def test_the_file_is_small_and_half_precision() -> None:
    assert WEIGHTS.stat().st_size < 10e6
    with safe_open(WEIGHTS, framework="pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118
        header = file.metadata()
    assert json.loads(header["recipe"])["steps_done"] > 0
    assert StarterConfig.from_json(header["config"]).image_size == 256


def test_there_and_back(tmp_path: Path) -> None:
    network = StarterNetwork(TINY)
    save_starter(tmp_path / "a.safetensors", TINY, network.state_dict())
    back = build_starter(read_checkpoint(tmp_path / "a.safetensors"))
    assert back.config == TINY
    for name, value in network.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], value.half().float())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 1e999}, "image_size is inf"),
        ({"image_size": 100}, "multiples"),
        ({"image_size": 1 << 20}, "image_size"),
        ({"widths": [8, 8, 8]}, "widths is a list of 3"),
        ({"widths": [8, 8, 8, 0]}, "widths[3] is 0"),
        ({"widths": 8}, "widths is 8"),
        ({"depths": [1, 1, 1, 10**9]}, "depths[3]"),
        ({"embedding_channels": 17}, "multiples"),
        ({"heads": 0}, "heads is 0"),
        ({"heads": "4"}, "heads is '4'"),
        ({"later": 1}, "'later'"),
    ],
    ids=str,
)
def test_what_is_no_architecture_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match="architecture") as raised:
        StarterConfig.from_json(json.dumps(json.loads(TINY.to_json()) | changes))
    assert words in str(raised.value)


@pytest.mark.parametrize("config", ["", "[]", "[" * 10_000 + "]" * 10_000, "{" * 10_000])
def test_a_file_without_an_architecture_is_refused(tmp_path: Path, config: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "b.safetensors"
    header = {"format": "napari-samri-starter", "version": "1", "config": config}
    save_file(load_file(WEIGHTS), path, metadata=header)
    with pytest.raises(ModelError, match="describes no architecture") as raised:
        build_starter(read_checkpoint(path))
    assert len(str(raised.value)) < 600


def test_another_version_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "b.safetensors"
    save_file(load_file(WEIGHTS), path, metadata={"format": "napari-samri-starter", "version": "9"})
    with pytest.raises(ModelError, match="version '9'; expected"):
        build_starter(read_checkpoint(path))


@pytest.mark.parametrize("seed", range(8))
def test_samples(seed: int) -> None:
    image, targets, labels = draw_sample(np.random.default_rng(seed), 64, 3)
    assert labels.shape == (64, 64)
    assert image.shape == (64, 64)
    assert image.dtype == np.float32
    assert targets.shape == (3, 64, 64)
    assert (targets.sum(axis=(1, 2)) >= 12).all()


def test_slices_fill_the_range() -> None:
    rng = np.random.default_rng(0)
    image = render(rng, label_map(rng, 96))
    assert image.dtype == np.uint8
    assert (image.min(), image.max()) == (0, 255)


def test_objects_follow_regions() -> None:
    labels = np.zeros((64, 64), np.int16)
    labels[10:30, 10:30] = 1
    labels[40:50, 40:50] = 2
    targets = sample_targets(np.random.default_rng(0), labels, 40)
    assert targets is not None
    assert {bool(t[20, 20]) for t in targets} == {True, False}
    assert sample_targets(np.random.default_rng(0), np.zeros((8, 8), np.int16), 1) is None


def test_batches_are_functions_of_their_number() -> None:
    stages = (Stage(size=32, images=2, steps=2), Stage(size=64, images=1, steps=1))
    first, second = (SyntheticBatches(stages, 2, seed=4) for _ in range(2))
    torch.testing.assert_close(first[1].images, second[1].images)
    assert not torch.equal(first[0].images, first[1].images)
    assert first[2].images.shape == (1, 1, 64, 64)
    with pytest.raises(IndexError):
        first[3]


def test_training_lowers_the_loss_on_one_batch() -> None:
    torch.manual_seed(0)
    network = StarterNetwork(TINY)
    resize_network(network, 32)
    images = torch.zeros(4, 1, 32, 32)
    targets = torch.zeros(4, 2, 32, 32, dtype=torch.bool)
    for k in range(4):
        images[k, 0, 4 : 12 + k, 6:20] = 2
        targets[k, :, 4 : 12 + k, 6:20] = True
    affinity = Affinity(TINY.embedding_channels)
    learned = [*network.parameters(), *affinity.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=3e-3)
    losses = []
    for _ in range(40):
        generator = torch.Generator().manual_seed(1)
        batch = Batch(images, targets, targets[:, 0].to(torch.int16))
        loss = batch_loss(network, affinity, batch, ObjectiveConfig(), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    encoder = network.image_encoder.parameters()
    assert all(parameter.grad is not None for parameter in encoder)


def test_affinity_prefers_embeddings_that_follow_regions() -> None:
    regions = torch.zeros(1, 32, 32, dtype=torch.int16)
    regions[:, :, 16:] = 1
    torch.manual_seed(0)
    affinity = Affinity(4)
    follows = torch.zeros(1, 4, 8, 8)
    follows[:, 0, :, :4] = follows[:, 1, :, 4:] = 1
    noise = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        affinity.project.bias.zero_()
        assert affinity(follows, regions) < affinity(noise, regions)
        outside = torch.full_like(regions, -1)
        assert affinity(follows, outside).isfinite()


def test_a_run_may_begin_with_other_weights(tmp_path: Path) -> None:
    save_starter(tmp_path / "first.safetensors", TINY, StarterNetwork(TINY).state_dict())
    trainer = Trainer(TINY, Recipe(seed=9), torch.device("cpu"))
    trainer.start_from(tmp_path / "first.safetensors")
    for name, value in load_file(tmp_path / "first.safetensors").items():
        torch.testing.assert_close(trainer.averaged[name], value.float())
        torch.testing.assert_close(trainer.network.state_dict()[name], value.float())


def test_the_rate_warms_up_and_falls() -> None:
    recipe = Recipe(stages=(Stage(size=32, images=1, steps=1000),), warm_up=100)
    rates = [recipe.rate(step) for step in range(1000)]
    assert rates.index(max(rates)) in {99, 100}
    assert max(rates) == pytest.approx(recipe.learning_rate)
    assert rates[-1] < 2 * recipe.final_rate


ARGUMENTS = ["--stages", "32x2x6", "--targets", "2", "--workers", "0", "--report-every", "3"]


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Killed after a report and started again, a run ends with the weights of one that was not."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    device = ["--device", "cpu"]
    assert main(["--out", str(whole), *ARGUMENTS, *device]) == 0
    command = [sys.executable, "-m", "napari_samri.training.starter.train", "--out", str(broken)]
    process = subprocess.Popen([*command, *ARGUMENTS, *device], stderr=subprocess.DEVNULL)
    limit, log = time.monotonic() + 120, broken / "log.jsonl"
    while not (log.exists() and log.stat().st_size) and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert main(["--out", str(broken), *ARGUMENTS, *device]) == 0
    expected = load_file(whole / "state.safetensors")
    found = load_file(broken / "state.safetensors")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    steps = [json.loads(line)["step"] for line in (broken / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6]


def test_the_exported_average_is_a_starter_file(tmp_path: Path) -> None:
    recipe = Recipe(stages=(Stage(size=32, images=2, steps=1),), targets=2)
    trainer = Trainer(TINY, recipe, torch.device("cpu"))
    trainer.train_step(SyntheticBatches(recipe.stages, 2, 0)[0])
    trainer.export(tmp_path / "c.safetensors")
    assert build_starter(read_checkpoint(tmp_path / "c.safetensors")).config == TINY


def organ(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A slice with one textured ellipse, tilted, brighter than its surroundings."""
    rows, columns = np.mgrid[:200, :180]
    tilt = rng.uniform(0, np.pi)
    y, x = rows - rng.uniform(70, 130), columns - rng.uniform(60, 120)
    along, across = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    truth = (along / rng.uniform(30, 45)) ** 2 + (across / rng.uniform(12, 20)) ** 2 < 1
    return 300 + 200 * truth + rng.normal(0, 25, truth.shape), truth


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


@pytest.mark.parametrize("seed", range(4))
def test_it_segments_a_clear_object(starter: Predictor, seed: int) -> None:
    image, truth = organ(np.random.default_rng(seed))
    rows, columns = np.nonzero(truth)
    box = (columns.min(), rows.min(), columns.max(), rows.max())
    embedding = starter.embed(image)
    answer = starter.predict(embedding, box_xyxy=box)
    assert overlap(answer.masks[0], truth) > 0.85
    middle = [[columns.mean(), rows.mean()]]
    candidates = starter.predict(embedding, points_xy=middle, multimask=True)
    assert candidates.masks.shape == (3, *truth.shape)
    assert max(overlap(mask, truth) for mask in candidates.masks) > 0.7


@pytest.mark.parametrize("points", [None, [[110, 100]]])
def test_a_box_on_nothing_but_noise_gives_about_its_ellipse(
    starter: Predictor, points: list[list[int]] | None
) -> None:
    noise = np.random.default_rng(0).normal(100, 10, (200, 256))
    embedding = starter.embed(noise)
    mask = starter.predict(embedding, box_xyxy=(60, 50, 160, 150), points_xy=points).masks[0]
    y, x = np.mgrid[:200, :256]
    assert overlap(mask, ((x - 110) / 50.5) ** 2 + ((y - 100) / 50.5) ** 2 < 1) > 0.85


def test_the_packaged_file_is_the_one_that_was_packaged(tmp_path: Path) -> None:
    check_packaged(WEIGHTS)
    content = bytearray(WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 64
    (tmp_path / "flipped").write_bytes(content)
    for name, words in (("flipped", "sha256"), ("missing", "cannot be read")):
        with pytest.raises(ModelError, match=words):
            check_packaged(tmp_path / name)

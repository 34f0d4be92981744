"""What one tool has embedded is warm in the other, by calls of the encoder."""

from __future__ import annotations

import shutil
from queue import Queue
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_samri import load_volume
from napari_samri.cli import main
from napari_samri.datasets import read_manifest
from napari_samri.embeddings import cache_dir
from napari_samri.embeddings.bank import Bank
from napari_samri.geometry import Plane, percentile_window
from napari_samri.jobs import Progressed, state_dir
from napari_samri.models.sam1.network import Sam1Network
from napari_samri.segment.protocol import Encode, Encoded, Load, Loaded, ModelChoice, Reply
from napari_samri.segment.worker import Worker
from tests.tiny import install_tiny, random_tiny
from tests.work.making import digests, make_data, make_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLICES = 8
PATIENCE = 60


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the tiny network be ViT-B, and count the calls of its encoder."""
    install_tiny(monkeypatch)
    found: list[int] = []
    encode = Sam1Network.encode

    def counted(network: Sam1Network, *arguments: Any) -> Any:
        found.append(1)
        return encode(network, *arguments)

    monkeypatch.setattr(Sam1Network, "encode", counted)
    return found


@pytest.fixture
def model(calls: list[int], tmp_path: Path) -> str:
    path = tmp_path / "tiny.pth"
    torch.save(random_tiny().state_dict(), path)
    return str(path)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return the manifest of one study."""
    return make_data(tmp_path / "data", 1)


def embed(manifest: Path, out: Path, model: str, *options: str) -> Path:
    """Run the batch command in this process."""
    arguments = ["embed", str(manifest), "--out", str(out), "--model", model, "--device", "cpu"]
    assert main([*arguments, *options]) == 0
    return out


def look_at(manifest: Path, model: str, family: str = "sam") -> None:
    """Let the model's process of a viewer embed the slices of a manifest."""
    replies: Queue[Reply] = Queue()
    worker = Worker(replies.put)
    worker.accept(Load(number=1, choice=ModelChoice(model=model, device="cpu", family=family)))
    assert isinstance(replies.get(timeout=PATIENCE).event, Loaded)
    for number, (pixels, window) in enumerate(slices_of(manifest), start=2):
        window = window if family == "medsam" else None
        call = Encode(number=number, pixels=pixels, window=window, urgent=True, view=number)
        worker.accept(call)
        while not isinstance(event := replies.get(timeout=PATIENCE).event, Encoded):
            assert isinstance(event, Progressed), event


def slices_of(manifest: Path) -> Iterator[tuple[np.ndarray, Any]]:
    for study in read_manifest(manifest).studies:
        volume = load_volume(manifest.parent / study.image)
        for entry in study.slices:
            yield Plane(study.axis, entry.index).extract(volume), percentile_window(volume.array)


@pytest.mark.parametrize("family", ["sam", "medsam"])
def test_a_volume_of_a_bank_is_warm_in_the_viewer(
    family: str, manifest: Path, model: str, calls: list[int], tmp_path: Path
) -> None:
    embed(manifest, tmp_path / "bank.zarr", model, "--family", family)
    assert len(calls) == SLICES
    look_at(manifest, model, family)
    assert len(calls) == SLICES
    assert not cache_dir().exists(), "the bank has them, so no cache needs to"
    shutil.rmtree(tmp_path / "bank.zarr")
    look_at(manifest, model, family)
    assert len(calls) == 2 * SLICES


@pytest.mark.parametrize("quantisation", ["float16", "int8"])
def test_a_volume_of_the_viewer_is_warm_for_a_batch_run(
    quantisation: str, manifest: Path, model: str, calls: list[int], tmp_path: Path
) -> None:
    fresh = embed(manifest, tmp_path / "fresh.zarr", model, "--quantise", quantisation)
    assert len(calls) == SLICES
    shutil.rmtree(state_dir())
    look_at(manifest, model)
    assert len(calls) == 2 * SLICES
    warm = embed(manifest, tmp_path / "warm.zarr", model, "--quantise", quantisation)
    assert len(calls) == 2 * SLICES
    assert digests(warm) == digests(fresh)


def test_8_bits_are_no_features_of_the_viewer(
    manifest: Path, model: str, calls: list[int], tmp_path: Path
) -> None:
    embed(manifest, tmp_path / "bank.zarr", model, "--quantise", "int8")
    look_at(manifest, model)
    assert len(calls) == 2 * SLICES


def test_changed_labels_do_not_need_the_encoder(
    manifest: Path, model: str, calls: list[int], tmp_path: Path
) -> None:
    out = embed(manifest, tmp_path / "bank.zarr", model)
    path = manifest.parent / "case0_seg.nii.gz"
    labels = nib.load(path)
    changed = np.where(np.asarray(labels.dataobj) == 3, 5, labels.dataobj).astype(np.uint8)
    nib.save(nib.Nifti1Image(changed, labels.affine), path)
    embed(make_manifest(manifest.parent, ["case0"]), out, model)
    assert len(calls) == SLICES
    with Bank(out) as bank:
        assert len(bank.parts) == 2
        assert set(bank.pairs["label"].tolist()) == {1, 5}

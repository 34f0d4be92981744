"""Labelled slices of a folder and their embeddings, for the benchmarks of the bank."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import segment_anything
import torch

from napari_samri.datasets import Manifest, prepare
from napari_samri.embeddings.bank import BankHeader, PartPlan
from napari_samri.embeddings.compute import encode_input
from napari_samri.errors import InputWarning
from napari_samri.models import LoadedModel, load_model
from napari_samri.work.encoder import BankEncoder
from napari_samri.work.rows import ReadyRow, RowReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


def load(starter: bool) -> LoadedModel:
    """Load the starter, or a ViT-B of seeded random weights, of which costs do not depend."""
    if starter:
        return load_model("starter", "cpu")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sam_vit_b_random.pth"
        torch.save(segment_anything.sam_model_registry["vit_b"]().state_dict(), path)
        return load_model(str(path), "cpu")


def chosen(folder: Path, count: int) -> Manifest:
    """Return up to `count` labelled slices of a folder, evenly spread over all there are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        manifest = prepare([folder])
    places = [(s, k) for s, study in enumerate(manifest.studies) for k in range(len(study.slices))]
    picked = np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int)
    kept = {places[place] for place in picked}
    studies = tuple(
        replace(study, slices=tuple(e for k, e in enumerate(study.slices) if (s, k) in kept))
        for s, study in enumerate(manifest.studies)
    )
    return replace(manifest, studies=studies)


def plan_of(model: LoadedModel, manifest: Manifest) -> PartPlan:
    """Return the plan of a bank of these slices, in half precision."""
    return PartPlan.of(header_of(model), manifest)


def header_of(model: LoadedModel, quantisation: Any = "float16") -> BankHeader:
    """Return the header of a model's banks."""
    return BankEncoder(model).header(quantisation)


def ready_rows(
    model: LoadedModel, manifest: Manifest, plan: PartPlan, rows: Sequence[int]
) -> Iterator[ReadyRow]:
    """Yield rows with their thumbnails, labels and encoder inputs."""
    roots = {dataset.name: Path(dataset.root) for dataset in manifest.datasets}
    for item in RowReader(plan, roots, BankEncoder(model), []).read(rows):
        assert isinstance(item, ReadyRow)
        yield item


def embed(model: LoadedModel, row: ReadyRow) -> NDArray[np.float32]:
    """Return the embedding (C, h, w) of a row."""
    return encode_input(model.network, row.input_image, model.device)["image"]

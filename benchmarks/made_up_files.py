"""Small files of every kind that the package writes, each with a way to read all that is in it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_samri.datasets.manifest import DataSet, Manifest, Region, SliceEntry, Study
from napari_samri.embeddings.bank import (
    Bank,
    BankHeader,
    BankRow,
    PartPlan,
    create_bank,
    create_part,
)
from napari_samri.embeddings.bank.verify import verify_bank
from napari_samri.embeddings.disk import DiskCache
from napari_samri.jobs.events import Problem
from napari_samri.models.checkpoint import read_checkpoint
from napari_samri.models.loading import load_model
from napari_samri.models.tuned import card_of, write_decoder
from napari_samri.training.state import RunState, load_state, save_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Read = Callable[[], Any]

ROWS = 70


class _Objects:
    """What of an optimiser is in a state."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.decoder = torch.nn.Linear(40, 30)
        self.network = SimpleNamespace(trainable=self.decoder)
        self.parameters = {"weight": self.decoder.weight}
        self.adam = torch.optim.Adam(self.parameters.values())
        self.decoder(torch.ones(2, 40)).sum().backward()
        self.adam.step()


def _copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors that are not the file's own pages, which a flip would change as well."""
    return {name: value.clone() for name, value in tensors.items()}


def _manifest() -> Manifest:
    entries = tuple(
        SliceEntry(k, f"{k:016x}", f"{k + 1000:016x}", (Region(1 + k % 3, 20, (1, 2, 8, 9), 1),))
        for k in range(ROWS)
    )
    study = Study(
        dataset="knee",
        patient="knee-1",
        split="train",
        image="img.nii.gz",
        labels="seg.nii.gz",
        axis=0,
        shape=(ROWS, 40, 50),
        spacing_mm=(3.0, 0.5, 0.75),
        slices=entries,
    )
    return Manifest(datasets=(DataSet("knee", "/data", "pairs"),), studies=(study,))


def _bank(root: Path, quantisation: Any) -> Read:
    header = BankHeader(
        "tiny", "e" * 64, "sam", "none.v1", 64, 16, {"image": (3, 4, 4)}, quantisation
    )
    create_bank(root / "bank", header)
    part = create_part(root / "bank", PartPlan.of(header, _manifest()))
    rng = np.random.default_rng(1)
    for shard in range(part.plan.shards):
        rows = {}
        for row in part.plan.rows_of(shard):
            labels, thumb = rng.integers(0, 4, (2, 16, 16)).astype(np.uint8)
            half = rng.normal(size=(3, 4, 4)).astype(np.float16)
            rows[row] = BankRow({"image": half}, thumb, labels, f"{row:064x}")
        rows.pop(5, None)
        part.write_shard(shard, rows)
    part.seal()
    return lambda: _whole_bank(root / "bank")


def _whole_bank(path: Path) -> Any:
    """Return all that a bank holds, None where `verify` has something to say."""
    if any(isinstance(event, Problem) for event in verify_bank(path)):
        return None
    with Bank(path) as bank:
        values = [bank.stored(row) for row in range(len(bank))]
        return {
            "rows": bank.rows,
            "pairs": bank.pairs,
            "header": bank.header.as_dict(),
            "values": np.stack([value for value, _ in values]),
            "scales": np.stack([np.zeros(1) if s is None else s for _, s in values]),
            "labels": np.stack([bank.labels(row) for row in range(len(bank))]),
            "thumb": np.stack([bank.thumb(row) for row in range(len(bank))]),
        }


def _decoder(root: Path) -> Read:
    model = load_model("starter", "cpu")
    card = card_of(model, title="mine", objective={"name": "none"}, trains_quality=True)
    path = root / "mine.safetensors"
    write_decoder(path, model.network.state_dict(), card)

    def read() -> Any:
        loaded = load_model(path, "cpu")
        return {"card": loaded.card, **_copies(loaded.network.state_dict())}

    return read


def _state(root: Path) -> Read:
    path = root / "state.safetensors"
    identity = json.dumps({"seed": 3})
    made: Any = _Objects(1)
    save_state(path, RunState(epoch=3, best={"validation": 0.75}), made, identity)

    def read() -> Any:
        other: Any = _Objects(2)
        state = load_state(path, other, identity)
        moments = other.adam.state[other.decoder.weight]
        return {"state": state, **_copies(other.decoder.state_dict() | moments)}

    return read


def _cache(root: Path) -> Read:
    cache = DiskCache(root / "cache", 1 << 20)
    array = np.random.default_rng(1).normal(size=(2, 8, 8)).astype(np.float32)
    cache.put("ab" * 32, {"image": array})
    return lambda: dict(cache.get("ab" * 32) or {})


def _checkpoint(root: Path) -> Read:
    path = root / "model.pth"
    torch.manual_seed(1)
    torch.save({"image_encoder.pos_embed": torch.randn(1, 8, 8, 4)}, path)
    return lambda: read_checkpoint(path).tensors


CASES: dict[str, Callable[[Path], Read]] = {
    "bank, float16": lambda root: _bank(root, "float16"),
    "bank, int8": lambda root: _bank(root, "int8"),
    "tuned decoder": _decoder,
    "state of a run": _state,
    "cached embedding": _cache,
    "checkpoint of PyTorch": _checkpoint,
}

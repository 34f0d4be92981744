"""Small banks of random numbers."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets.manifest import DataSet, Manifest, Region, SliceEntry, Study
from napari_samri.embeddings.bank import BankHeader, BankRow, PartPlan, create_bank, create_part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from napari_samri.embeddings.bank import Part

HEADER = BankHeader(
    architecture="tiny",
    encoder="e" * 64,
    family="sam",
    preprocessing="none.v1",
    input_size=64,
    low_res_size=16,
    features={"image": (3, 4, 4)},
)
INT8 = replace(HEADER, quantisation="int8")
SPLITS = ("train", "validation", "test", "zero-shot")


def manifest(
    rows: int, *, name: str = "knee", content: str = "", label: int = 3, per_study: int = 20
) -> Manifest:
    """Return studies of up to `per_study` slices with one or two labels each."""
    studies = []
    for number, begin in enumerate(range(0, rows, per_study)):
        count = min(per_study, rows - begin)
        entries = tuple(entry(begin + k, k, label, f"{name}{content}") for k in range(count))
        studies.append(
            Study(
                dataset=name,
                patient=f"{name}-{number // 2}",
                split=SPLITS[number % 4],
                image=f"{number:05d}_img.nii.gz",
                labels=f"{number:05d}_seg.nii.gz",
                axis=0,
                shape=(per_study, 40, 50),
                spacing_mm=(3.0, 0.5, 0.75),
                slices=entries,
            )
        )
    return Manifest(datasets=(DataSet(name, "/data", "pairs"),), studies=tuple(studies))


def entry(row: int, index: int, label: int, content: str) -> SliceEntry:
    """Return a slice with the label 1, and on every other one a second label."""
    regions = [Region(1, 20 + row % 7, (1, 2, 8, 9), 1)]
    if row % 2 and label > 1:
        regions.append(Region(label, 10, (0, 0, 4, 4), 2))
    digest = hashlib.sha256(f"{content}{row}".encode()).hexdigest()
    return SliceEntry(index, digest[:16], digest[16:32], tuple(regions))


def embedding(header: BankHeader, row: int, seed: int = 0) -> Any:
    """Return the float16 embedding that a row has."""
    rng = np.random.default_rng([seed, row])
    channels = rng.uniform(0.1, 4, (header.features["image"][0], 1, 1))
    return (rng.normal(size=header.features["image"]) * channels).astype(np.float16)


def content(part_plan: PartPlan, row: int, seed: int = 0) -> BankRow:
    """Return what a row has; of every fifth row, no label is left in low resolution."""
    rng = np.random.default_rng([seed, row, 1])
    side = part_plan.header.low_res_size
    values = [region.label for region in part_plan.slice_of(row)[1].regions]
    labels = np.zeros((side, side), np.uint16)
    if row % 5:
        labels[2:9, 3:12] = rng.choice([0, *values], (7, 9))
    thumb = rng.integers(0, 256, (side, side)).astype(np.uint8)
    half = embedding(part_plan.header, row, seed)
    shown = labels if part_plan.labelled[row] else None
    return BankRow({"image": half}, thumb, shown, key(row, seed))


def key(row: int, seed: int = 0) -> str:
    """Return the content key that a row has."""
    return hashlib.sha256(f"{seed} {row}".encode()).hexdigest()


def fill(
    part: Part, *, missing: Collection[int] = (), shards: Iterable[int] | None = None, seed: int = 0
) -> None:
    """Write shards of a part, all of them by default, without the missing rows."""
    for shard in range(part.plan.shards) if shards is None else shards:
        rows = [row for row in part.plan.rows_of(shard) if row not in missing]
        part.write_shard(shard, {row: content(part.plan, row, seed) for row in rows})


def make_part(
    bank: Path,
    header: BankHeader,
    slices: Manifest,
    *,
    missing: Collection[int] = (),
    seed: int = 0,
) -> Part:
    """Make, fill and seal a part."""
    create_bank(bank, header)
    part = create_part(bank, PartPlan.of(header, slices))
    fill(part, missing=missing, seed=seed)
    part.seal()
    return part


def digests(folder: Path) -> dict[str, str]:
    """Return the hash of every file, and every empty folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not any(path.iterdir()):
            found[name] = "empty"
    return found

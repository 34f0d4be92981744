"""The files of a shard, written in a folder of their own before they are put into place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.arrays import PICTURES, SHARD_ROWS
from napari_samri.embeddings.bank.quantise import to_int8
from napari_samri.embeddings.bank.shard_file import checksum, write_shard
from napari_samri.embeddings.bank.zarr_files import write_flushed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.plan import PartPlan

    Array = NDArray[Any]
    ByRow = Mapping[int, Array]


def stage_shard(
    plan: PartPlan,
    shard: int,
    embeddings: ByRow,
    pictures: Mapping[int, Mapping[str, Array]],
    stage: Path,
) -> Iterator[tuple[str, Path]]:
    """Write the files of a shard, and yield the name of each array with its file.

    ``emb`` comes last, for with it the shard is committed. Parameters are those of
    `napari_samri.embeddings.bank.part.Part.write_shard`, and an empty folder.
    """
    there = [row for row in plan.rows_of(shard) if row in embeddings]
    for name in PICTURES:
        values = {row: pictures[row][name] for row in there}
        yield name, _stage_rows(plan, name, shard, values, stage)
    if plan.header.quantisation == "int8":
        small = {row: to_int8(embeddings[row]) for row in there}
        scales = {row: scale for row, (_, scale) in small.items()}
        yield "scale", _stage_scales(plan, shard, scales, stage)
        embeddings = {row: values for row, (values, _) in small.items()}
    yield "emb", _stage_rows(plan, "emb", shard, embeddings, stage)


def _stage_rows(plan: PartPlan, name: str, shard: int, values: ByRow, stage: Path) -> Path:
    pack = plan.arrays[name].pack
    chunks = (pack(values[row]) if row in values else None for row in plan.rows_of(shard))
    write_shard(stage / name, chunks, SHARD_ROWS)
    return stage / name


def _stage_scales(plan: PartPlan, shard: int, scales: ByRow, stage: Path) -> Path:
    table = np.zeros((SHARD_ROWS, plan.header.embedding_shape[0]), "<f4")
    for row, scale in scales.items():
        table[row - plan.rows_of(shard).start] = scale
    write_flushed(stage / "scale", table.tobytes() + checksum(table.tobytes()))
    return stage / "scale"

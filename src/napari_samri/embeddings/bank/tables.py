"""Tables of columns: as groups of zarr arrays, and those of several parts as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.zarr_files import zarr_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.datasets import Study
    from napari_samri.embeddings.bank.part import Part

    Array = NDArray[Any]
    Table = dict[str, Array]
    Rows = NDArray[np.int64]
    Names = tuple[list[str], list[str], list[Study]]


def write_table(folder: Path, table: Mapping[str, Array]) -> None:
    """Write a table as a zarr group with one array per column, each in one chunk."""
    with zarr_group(folder) as group:
        for name, column in table.items():
            chunks = tuple(max(1, n) for n in column.shape)
            group.create_array(name, data=column, chunks=chunks)


def joined_rows(parts: Sequence[Part], kept: Sequence[Rows]) -> tuple[Names, Table]:
    """Return the names of data sets, patients and studies, and the columns of all kept rows.

    Parameters
    ----------
    parts : sequence of Part
    kept : sequence of int array
        The rows of each part that count.
    """
    datasets: dict[str, int] = {}
    patients: dict[str, int] = {}
    studies: list[Study] = []
    tables = []
    for number, (part, rows) in enumerate(zip(parts, kept, strict=True)):
        manifest = part.plan.manifest
        table = {name: column[rows] for name, column in part.plan.row_table().items()}
        own = [dataset.name for dataset in manifest.datasets]
        table["dataset"] = _numbers(datasets, own)[table["dataset"]]
        table["patient"] = _numbers(patients, list(part.plan.patients))[table["patient"]]
        table["volume"] = table["volume"] + len(studies)
        table["part"] = np.full(len(rows), number, np.int32)
        table["part_row"] = rows
        studies += manifest.studies
        tables.append(table)
    return (list(datasets), list(patients), studies), _stacked(tables, _ROWS)


def joined_pairs(parts: Sequence[Part], kept: Sequence[Rows]) -> Table:
    """Return the columns of all labels on kept rows; `row` counts over all parts."""
    tables = []
    begin = 0
    for part, rows in zip(parts, kept, strict=True):
        number = np.full(part.plan.rows, -1, np.int64)
        number[rows] = begin + np.arange(len(rows))
        table = part.plan.pair_table()
        row = number[table["row"]]
        tables.append({name: column[row >= 0] for name, column in table.items()})
        tables[-1]["row"] = row[row >= 0]
        begin += len(rows)
    return _stacked(tables, _PAIRS)


# What a column has beside its rows.
_ROWS = dict.fromkeys(
    ("volume", "dataset", "patient", "split", "axis", "slice", "weight", "part", "part_row"), ()
) | {"slice_shape": (2,), "spacing_mm": (2,)}
_PAIRS = dict.fromkeys(("row", "label", "area", "components"), ()) | {"box_xyxy": (4,)}


def _numbers(known: dict[str, int], names: list[str]) -> NDArray[np.int32]:
    """Return the number of each name, new ones numbered on."""
    return np.array([known.setdefault(name, len(known)) for name in names], np.int32)


def _stacked(tables: Sequence[Table], columns: Mapping[str, tuple[int, ...]]) -> Table:
    if not tables:
        return {name: np.zeros((0, *shape), np.int64) for name, shape in columns.items()}
    return {name: np.concatenate([table[name] for table in tables]) for name in columns}

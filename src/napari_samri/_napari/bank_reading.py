"""An embedding bank in napari: the slices it was made of, and their labels, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_samri.datasets import SPLITS
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.filenames import stem_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]
    LayerData = tuple[Any, dict[str, Any], str]

METADATA_KEY = "samri bank"
# "row" alone would be a row of pixels.
AXES = ("bank row", "row", "column")


def bank_layers(path: Path | str) -> list[LayerData]:
    """Return the data, options and type of two layers: a bank's thumbnails and its labels.

    Both are lazy arrays (N, L, L) of one chunk per row, so even a large bank opens quickly, and
    only what is looked at is read. Row by row, the metadata tell data set, patient, image, axis,
    slice and split.

    Raises
    ------
    InputError
        If it is no bank, was altered, or has no rows yet.
    """
    bank = Bank(path)
    if not len(bank):
        message = (
            f"{bank.path}: no part of this bank is complete yet, so there are no rows to show. "
            "Embed the same data set into it again: it goes on where it stopped."
        )
        raise InputError(message)
    name = stem_of(bank.path, [".zarr"])
    common = {"axis_labels": AXES, "metadata": {METADATA_KEY: row_table(bank)}}
    thumbs = common | {"name": name, "contrast_limits": (0, 255), "rgb": False}
    labels = common | {"name": f"{name} labels", "features": label_features(bank)}
    return [
        (lazy_rows(bank, "thumb", np.uint8), thumbs | {"multiscale": False}, "image"),
        (lazy_rows(bank, "labels", np.uint16), labels | {"multiscale": False}, "labels"),
    ]


def row_table(bank: Bank) -> dict[str, Any]:
    """Return the path of a bank and, as arrays of equal length, where each row is from."""
    rows = bank.rows
    images = np.array([study.image for study in bank.studies], object)
    return {
        "path": str(bank.path),
        "dataset": np.array(bank.datasets, object)[rows["dataset"]],
        "patient": np.array(bank.patients, object)[rows["patient"]],
        "image": images[rows["volume"]],
        "split": np.array(SPLITS, object)[rows["split"]],
        "axis": rows["axis"],
        "slice": rows["slice"],
    }


def describe_row(table: dict[str, Any], row: int) -> str:
    """Say where a row is from."""
    return (
        f"{table['dataset'][row]}, {table['patient'][row]}, {table['split'][row]}: slice "
        f"{table['slice'][row]} across axis {table['axis'][row]} of {table['image'][row]}"
    )


def label_features(bank: Bank) -> dict[str, list[Any]]:
    """Return what napari shows of a label under the mouse: its name, as each data set has it."""
    names: dict[int, dict[str, None]] = {0: {"background": None}}
    for part in bank.parts:
        for dataset in part.plan.manifest.datasets:
            for label, name in dataset.label_names.items():
                names.setdefault(label, {})[name] = None
    found = sorted((label, " / ".join(known)) for label, known in names.items())
    return {"index": [label for label, _ in found], "name": [name for _, name in found]}


def lazy_rows(bank: Bank, what: str, dtype: type) -> Any:
    """Return ``thumb`` or ``labels`` of all rows as a dask array (N, L, L), one chunk per row."""
    import dask.array as da

    read = {"thumb": bank.thumb, "labels": bank.labels}[what]
    side = bank.header.low_res_size

    def chunk(row: int) -> Array:
        return read(row)[None].astype(dtype)

    # A graph made by hand: `from_array` looks through all of its chunks whenever one is computed.
    name = f"samri-{what}-{uuid4().hex}"
    graph = {(name, row, 0, 0): (chunk, row) for row in range(len(bank))}
    chunks = ((1,) * len(bank), (side,), (side,))
    return da.Array(graph, name, chunks, dtype=dtype, meta=np.zeros((0, 0, 0), dtype))

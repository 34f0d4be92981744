"""What is in a bank."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from napari_samri.datasets import SPLITS
from napari_samri.embeddings.bank.bank import Bank
from napari_samri.embeddings.bank.part import parts_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.embeddings.bank.part import Part


def bank_info(path: Path) -> dict[str, Any]:
    """Return what is in a bank, as JSON values.

    Returns
    -------
    dict
        ``header``; shapes of its ``features``; ``rows`` and ``pairs`` that can be read;
        ``rows_by`` data set and split; ``replaced`` rows, for which a later part has a newer one;
        ``bytes`` and ``files`` on the disk; ``parts``, each with ``name``, ``sealed``, ``rows``,
        ``missing`` rows, and ``shards`` that are there.

    Raises
    ------
    InputError
        If it is no bank, or was altered.
    """
    parts = [_part_info(part) for part in parts_of(path)]
    sealed = [part for part in parts if part["sealed"]]
    with Bank(path) as bank:
        sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
        return {
            "header": bank.header.as_dict(),
            "features": {name: list(shape) for name, shape in bank.header.features.items()},
            "rows": len(bank),
            "pairs": len(bank.pairs["row"]),
            "rows_by": _rows_by(bank),
            "replaced": sum(part["rows"] - part["missing"] for part in sealed) - len(bank),
            "bytes": sum(sizes),
            "files": len(sizes),
            "parts": parts,
        }


def _part_info(part: Part) -> dict[str, Any]:
    missing = len(part.missing_rows()) if part.sealed else 0
    there = part.plan.shards - len(part.missing_shards())
    return {
        "name": part.path.name,
        "sealed": part.sealed,
        "rows": part.plan.rows,
        "missing": missing,
        "shards": [there, part.plan.shards],
    }


def _rows_by(bank: Bank) -> dict[str, dict[str, int]]:
    """Return how many rows each split of each data set has."""
    counts = Counter(zip(bank.rows["dataset"].tolist(), bank.rows["split"].tolist(), strict=True))
    result: dict[str, dict[str, int]] = {name: {} for name in bank.datasets}
    for (dataset, split), count in sorted(counts.items()):
        result[bank.datasets[dataset]][SPLITS[split]] = count
    return result

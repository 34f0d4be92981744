"""Names of labels from BIDS' look-up tables (``*_dseg.tsv``)."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.bids_names import name_of
from napari_samri.datasets.layouts.matching import shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def names_of_labels(labels: Iterable[Path], root: Path) -> tuple[dict[int, str], list[str]]:
    """Return the names in all tables that belong to label files, and problems with tables.

    A table belongs to label files in its folder or below it whose names have all its entities
    (BIDS' inheritance). A label that two tables name differently is not known by name.
    """
    names: dict[int, set[str]] = {}
    problems = []
    for table in sorted({table for path in labels for table in _tables(path, root)}):
        try:
            for label, name in _read(table):
                names.setdefault(label, set()).add(name)
        except (OSError, ValueError, csv.Error) as error:
            problems.append(
                f"{shown(table, root)}: cannot be used ({error}), so its labels have no names; "
                "expected tabs between the columns index and name."
            )
    return {
        label: min(found) for label, found in sorted(names.items()) if len(found) == 1
    }, problems


def _tables(labels: Path, root: Path) -> list[Path]:
    """Return the tables of a label file, in its folder and all above it up to the root."""
    entities = name_of(labels).entities.items()
    folders = [folder for folder in labels.parents if folder.is_relative_to(root)]
    found = [table for folder in folders for table in sorted(folder.glob("*dseg.tsv"))]
    return [table for table in found if name_of(table.with_suffix("")).entities.items() <= entities]


def _read(table: Path) -> list[tuple[int, str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if not {"index", "name"} <= set(reader.fieldnames or ()):
            message = f"its columns are {', '.join(reader.fieldnames or ()) or 'none'}"
            raise ValueError(message)
        rows = [(int(row["index"]), str(row["name"])) for row in reader if row["index"]]
    return [(label, name) for label, name in rows if label > 0]

"""A CSV that names images and labels."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from napari_samri.datasets.layouts.base import Case, Findings
from napari_samri.datasets.layouts.files import patient_of, stem
from napari_samri.datasets.layouts.pairs import IMAGE_END
from napari_samri.datasets.layouts.structures import with_structures
from napari_samri.datasets.layouts.table_text import GUESSED, NEEDED, Row, Table, read_table
from napari_samri.datasets.spelling import real_path
from napari_samri.errors import InputError

_SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True)
class TableLayout:
    """Columns ``image``, ``labels`` and, if they are there, ``patient``, ``dataset`` and others.

    Paths are relative to the CSV's folder, which is the root, and stay below it. Several label
    files of one image hold one structure each, whose name is in the column ``class``, or told from
    the files' names; a column ``rater`` says that they are several people's work.
    """

    id: str = "csv"
    looks_for: str = "a .csv file with the columns image and labels"

    def recognises(self, path: Path) -> bool:
        """Tell whether it is a file of that name."""
        return path.suffix.lower() in _SUFFIXES and path.is_file()

    def find(self, path: Path) -> Findings:
        """Take the rows one by one."""
        table = read_table(path)
        cases, problems = [], []
        for row in table.rows:
            flaw = _flaw(row)
            if flaw:
                problems.append(f"{path.name}, line {row.line}: {flaw}")
            else:
                cases.append(_case(row, path))
        _check_inside(cases, path)
        if table.is_guessed:
            _check_guess(table, cases, path)
        cases, more = with_structures(cases)
        comments = {"lines of the table that are comments": table.comments}
        return Findings(path.parent, tuple(cases), (*problems, *more), comments)


def _flaw(row: Row) -> str:
    """Say what is wrong with a row; nothing if it is fine."""
    if row.extra:
        return (
            f"there are more cells than columns: {', '.join(row.extra)} is beyond the last. Put "
            "paths that hold a separator into quotes."
        )
    missing = [name for name in NEEDED if not row.cells.get(name)]
    if missing:
        return (
            f"no {' and no '.join(missing)}; expected both. Fill in the path, or take the row away."
        )
    return ""


def _case(row: Row, table: Path) -> Case:
    image, labels = (_path(row.cells[name], table.parent) for name in NEEDED)
    case = Case(
        image,
        labels,
        row.cells.get("patient", ""),
        row.cells.get("dataset", ""),
        patient_is_given=True,
        structure=row.cells.get("class", ""),
        rater=row.cells.get("rater", ""),
        where=f"{table.name}, line {row.line}",
    )
    if case.patient:
        return case
    relative = image.relative_to(table.parent) if image.is_relative_to(table.parent) else image
    name = patient_of(relative, IMAGE_END.sub("", stem(image)))
    return replace(case, patient=name, patient_is_given=False)


def _path(cell: str, root: Path) -> Path:
    """Return the path that a cell means: with slashes of either kind, in any form of Unicode."""
    if not (root / cell).exists():
        cell = cell.replace("\\", "/")
    return real_path(Path(os.path.normpath(root / cell)), root)


def _check_inside(cases: list[Case], path: Path) -> None:
    paths = [path for case in cases for path in (case.image, case.labels)]
    outside = [each for each in paths if not each.is_relative_to(path.parent)]
    if outside:
        message = (
            f"{path}: {len(outside)} paths lie outside of its folder, such as {outside[0]}; "
            "expected paths below it, so that a manifest cannot lead elsewhere. Put the CSV into a "
            "folder above all of them."
        )
        raise InputError(message)


def _check_guess(table: Table, cases: list[Case], path: Path) -> None:
    """Believe in a guessed encoding only if all that depends on it names files that are there."""
    files = {case.where: (case.image, case.labels) for case in cases}
    for row in table.rows:
        doubtful = {name for name, cell in row.cells.items() if not cell.isascii()}
        there = all(each.exists() for each in files.get(f"{path.name}, line {row.line}", ()))
        if doubtful and not (there and doubtful <= set(NEEDED)):
            names = ", ".join(row.cells[name] for name in sorted(doubtful))
            message = (
                f"{path}, line {row.line}: is not UTF-8. Read as Windows-1252 ({GUESSED}) it says "
                f"{names}, and no files tell whether that is meant. Save the table as UTF-8."
            )
            raise InputError(message)

"""A CSV that names images and labels."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from napari_samri.datasets.layouts.base import Case, Findings
from napari_samri.datasets.layouts.files import patient_of, stem
from napari_samri.datasets.layouts.pairs import IMAGE_END
from napari_samri.errors import InputError

_NEEDED = ("image", "labels")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_Row = dict[str, str]


@dataclass(frozen=True)
class TableLayout:
    """Columns ``image``, ``labels`` and, if they are there, ``patient`` and ``dataset``.

    Paths are relative to the CSV's folder, which is the root, and stay below it.
    """

    id: str = "csv"
    looks_for: str = "a .csv file with the columns image and labels"

    def recognises(self, path: Path) -> bool:
        """Tell whether it is a file of that name."""
        return path.suffix.lower() in _DELIMITERS and path.is_file()

    def find(self, path: Path) -> Findings:
        """Take the rows one by one."""
        cases, problems = [], []
        for number, row in _rows(path):
            missing = [name for name in _NEEDED if not row.get(name)]
            if missing:
                problems.append(
                    f"{path.name}, line {number}: no {' and no '.join(missing)}; expected both. "
                    "Fill in the path, or take the row away."
                )
            else:
                cases.append(_case(row, path.parent))
        _check_inside(cases, path)
        return Findings(path.parent, tuple(cases), tuple(problems))


def _rows(path: Path) -> list[tuple[int, _Row]]:
    """Return the rows with the lines they end on; names of columns and cells are stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=_DELIMITERS.get(path.suffix.lower(), ","))
            names = [name.strip().lower() for name in next(reader, [])]
            rows = [
                (
                    reader.line_num,
                    {name: cell.strip() for name, cell in zip(names, row, strict=False)},
                )
                for row in reader
                if any(map(str.strip, row))
            ]
    except (OSError, ValueError, csv.Error) as error:
        message = f"{path}: cannot be read ({error}); expected a CSV file in UTF-8."
        raise InputError(message) from error
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        message = (
            f"{path}: the columns are {', '.join(names) or 'none'}; expected image and labels, and "
            "perhaps patient and dataset, separated by commas."
        )
        raise InputError(message)
    return rows


def _case(row: _Row, root: Path) -> Case:
    image, labels = (Path(os.path.normpath(root / row[name])) for name in _NEEDED)
    dataset, patient = row.get("dataset", ""), row.get("patient", "")
    if patient:
        return Case(image, labels, patient, dataset, patient_is_given=True)
    relative = image.relative_to(root) if image.is_relative_to(root) else image
    return Case(image, labels, patient_of(relative, IMAGE_END.sub("", stem(image))), dataset)


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

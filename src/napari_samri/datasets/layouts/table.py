"""A CSV that names images and labels."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import Case, Findings, patient_of, stem
from napari_samri.datasets.layouts.pairs import IMAGE_END
from napari_samri.datasets.layouts.table_text import GUESSED, NEEDED, Row, Table, read_table
from napari_samri.datasets.spelling import real_path
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True)
class TableLayout:
    """Columns ``image``, ``labels`` and, if they are there, ``patient``, ``dataset`` and others.

    Paths are relative to the CSV's folder, which is the root, and stay below it. Several label
    files of one image hold one structure each, whose name is in the column ``class``, or follows
    from the files' names; a column ``rater`` says that they are several people's work.
    """

    id: str = "csv"
    looks_for: str = "a .csv file with the columns image and labels"

    def recognises(self, path: Path) -> bool:
        """Tell whether it is a file of that name."""
        return path.suffix.lower() in _SUFFIXES and path.is_file()

    def find(self, path: Path) -> Findings:
        """Make a case of each row."""
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
    """Say what is wrong with a row; empty if it is fine."""
    if row.extra:
        return (
            f"there are more cells than columns: {', '.join(row.extra)} is beyond the last. Put "
            "paths that hold a separator into quotes."
        )
    missing = [name for name in NEEDED if not row.cells.get(name)]
    if missing:
        return f"no {' and no '.join(missing)}; expected both. Fill in the path, or delete the row."
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
    paths = [path for case in cases for path in (case.image, case.label_file)]
    outside = [each for each in paths if not each.is_relative_to(path.parent)]
    if outside:
        message = (
            f"{path}: {len(outside)} paths lie outside of its folder, such as {outside[0]}; "
            "expected paths below it, so that a manifest cannot lead elsewhere. Put the CSV into a "
            "folder above all of them."
        )
        raise InputError(message)


def _check_guess(table: Table, cases: list[Case], path: Path) -> None:
    """Trust a guessed encoding only if all cells that depend on it name files that exist."""
    files = {case.where: (case.image, case.label_file) for case in cases}
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


_RATER = re.compile(
    r"^(rater|reader|observer|obs|annotator|expert|manual|auto|consensus|staple|first|second)"
    r"[-_ ]?\w?$",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[_\-. ]+")
_Group = tuple[str, "Path"]


def with_structures(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """Name the structure of each label file where an image has several.

    Files whose names say that they are several people's, and cases whose rater is given, stay as
    they are: label 1 is the same thing for all raters. Cases that have a structure's name keep it.

    Returns
    -------
    list of Case
        Without those whose structures are not known.
    list of str
        Problems: images whose label files could show anything, with the rows that name them.
    """
    groups: dict[_Group, list[Case]] = defaultdict(list)
    for case in cases:
        if not case.structure and not case.rater:
            groups[case.dataset, case.image].append(case)
    several = {key: _distinct_parts(group) for key, group in groups.items() if _files(group) > 1}
    shared = Counter(name for parts in several.values() for name in set(parts.values()))
    named: list[Case] = []
    problems: list[str] = []
    for case in cases:
        parts = several.get((case.dataset, case.image))
        if parts is None or case.structure or case.rater or _are_raters(parts):
            named.append(case)
        elif _are_structures(parts, shared, len(several)):
            named.append(replace(case, structure=parts[case.label_file]))
        else:
            problems.append(_problem(case))
    return named, problems


def _files(group: Iterable[Case]) -> int:
    return len({case.label_file for case in group})


def _distinct_parts(group: Sequence[Case]) -> dict[Path, str]:
    """Return what the names of an image's label files do not share, by file."""
    files = list(dict.fromkeys(case.label_file for case in group))
    names = [_PARTS.split(stem(file)) for file in files]
    if len({file.name for file in files}) < len(files):  # liver/p1.nii, spleen/p1.nii
        names = [[*file.parent.parts[1:], *parts] for file, parts in zip(files, names, strict=True)]
    begin, end = _shared(names), _shared([name[::-1] for name in names])
    parts = ["_".join(name[begin : len(name) - end]) for name in names]
    whole = ["_".join(name) for name in names]
    return dict(zip(files, parts if all(parts) else whole, strict=True))


def _shared(names: Sequence[Sequence[str]]) -> int:
    """Return how many parts at the beginning all names share; one of each is always left."""
    count = 0
    for parts in zip(*names, strict=False):
        if len(set(parts)) > 1:
            break
        count += 1
    return min(count, min(map(len, names)) - 1)


def _are_raters(parts: dict[Path, str]) -> bool:
    return all(_RATER.match(name) for name in parts.values())


def _are_structures(parts: dict[Path, str], shared: Counter[str], images: int) -> bool:
    """Tell whether names are words, all different, that other images have too."""
    names = set(parts.values())
    words = all(re.search(r"[^\W\d_]{2}", name) for name in names)
    recur = images == 1 or any(shared[name] > 1 for name in names)
    return words and recur and len(names) == len(parts)


def _problem(case: Case) -> str:
    name = case.label_file.name
    return (
        f"{case.where or name}: other label files are of the same image, and their "
        f"names, such as {name}, do not tell what each of them shows, so label 1 could "
        "stand for several things. Name the structures in a column class, or whose labels they are "
        "in a column rater."
    )

"""Where data sets come from, and what they are called."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.datasets.entries import Entry, with_classes
from napari_samri.datasets.layouts import detect_layout, find_in_two_folders, layout_by_id
from napari_samri.datasets.manifest import DataSet, check_inside
from napari_samri.datasets.patients import with_patients
from napari_samri.datasets.patterns import PatientPatterns
from napari_samri.datasets.spelling import real_path
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from napari_samri.datasets.layouts import Case, Findings
    from napari_samri.datasets.manifest import KnownBy

TWO_FOLDERS = "folders"
BIDS = "bids"


@dataclass(frozen=True)
class Source:
    """A folder or a CSV with images and labels.

    Parameters
    ----------
    path : path
        A folder or a CSV; with `labels`, the folder of the images.
    name : str, optional
        What to call the data set; by default as its folder, made unique.
    layout : str, optional
        Id of its layout; by default the first that recognises it.
    labels : path, optional
        The folder of the labels, matched with the images by name.
    channel : int, optional
        Which volume of 4D images the labels belong to, from 0; 3D images stay as they are.
    """

    path: Path
    name: str | None = None
    layout: str | None = None
    labels: Path | None = None
    channel: int | None = None

    @classmethod
    def parse(cls, text: str, layout: str | None = None) -> Source:
        """Read ``PATH`` or ``NAME=PATH``; a path that exists as it is wins."""
        name, equals, path = text.partition("=")
        if not equals or os.path.exists(os.path.expanduser(text)):
            return cls(Path(text), None, layout)
        if not name.strip() or not path:
            message = f"{text!r} names no data set; expected PATH or NAME=PATH."
            raise InputError(message)
        return cls(Path(path), name.strip(), layout)

    def find(self) -> tuple[str, Findings]:
        """Return the layout's id and what lies there, without opening images.

        Raises
        ------
        InputError
            If nothing is there, or nothing that a layout recognises.
        """
        path = _absolute(self.path)
        if self.labels is not None:
            return TWO_FOLDERS, find_in_two_folders(path, _absolute(self.labels))
        if not path.exists():
            message = f"{path}: there is no such file or folder; expected a data set."
            raise InputError(message)
        layout = layout_by_id(self.layout) if self.layout else detect_layout(path)
        return layout.id, layout.find(path)


@dataclass(frozen=True)
class Gathered:
    """All cases of all sources.

    Parameters
    ----------
    datasets : tuple of DataSet
        In the order of the sources.
    entries : tuple of Entry
        In the order of data sets, images and labels.
    problems : tuple of str
    left_out : Counter
        Files that were skipped, by reason.
    notes : tuple of str
        What was read in one way and could be meant in another.
    """

    datasets: tuple[DataSet, ...]
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    left_out: Counter[str]
    notes: tuple[str, ...] = ()


def gather(
    sources: Iterable[Source], patient: str | Sequence[str] = (), zero_shot: Collection[str] = ()
) -> Gathered:
    """Find the cases of all sources and name the data sets.

    Parameters
    ----------
    sources : iterable of Source
    patient : str or sequence of str
        Regular expressions, tried in turn on an image's path relative to its root: see
        `napari_samri.datasets.patterns`. Patients of a CSV and of BIDS' folders stay.
    zero_shot : collection of str
        Names of data sets that are held out whole.

    Raises
    ------
    InputError
        If a source cannot be used, two have one name, an expression is wrong, or a name in
        `zero_shot` is none of a data set.
    """
    patterns = PatientPatterns.of(patient)
    datasets: list[DataSet] = []
    entries: list[Entry] = []
    problems: list[str] = []
    left_out: Counter[str] = Counter()
    for source in sources:
        layout, findings = source.find()
        left_out.update(findings.left_out)
        names = _names(source, findings, [dataset.name for dataset in datasets])
        root, known = str(findings.root), findings.label_names
        datasets += [DataSet(n, root, layout, known, n in zero_shot) for n in names.values()]
        own = " and ".join(names.values())
        problems += [f"{own}: {problem}" for problem in findings.problems]
        for case in findings.cases:
            try:
                entry = _entry(case, names[case.dataset], findings.root, layout)
                entries.append(replace(entry, channel=source.channel))
            except InputError as error:
                problems.append(f"{names[case.dataset]}: {error}")
    _check_zero_shot(zero_shot, datasets)
    order = {dataset.name: number for number, dataset in enumerate(datasets)}
    entries.sort(key=lambda entry: (order[entry.dataset], entry.image, entry.labels))
    entries, named, notes = with_classes(entries, datasets)
    kept, unmatched, more = with_patients(entries, patterns)
    return Gathered(named, tuple(kept), (*problems, *unmatched), +left_out, (*notes, *more))


def _absolute(path: Path) -> Path:
    """Return an absolute path without ``..``, as the disk spells it; links are left as they are."""
    absolute = Path(os.path.abspath(os.path.expanduser(path)))
    _check_text(str(absolute))
    return real_path(absolute, Path(absolute.anchor))


def _names(source: Source, findings: Findings, taken: list[str]) -> dict[str, str]:
    """Return the data sets' names by what the layout calls them; empty is the source's own."""
    found = list(dict.fromkeys(case.dataset for case in findings.cases)) or [""]
    names = {each: _name(source, each, findings.root) for each in found}
    if "" in names and source.name is None:
        names[""] = _unique(names[""], {*taken, *(names[each] for each in found if each)})
    twice = sorted(set(taken) & set(names.values()))
    if twice:
        message = (
            f"{source.path}: there is already a data set called {', '.join(twice)}; expected "
            "another name. Give one as NAME=PATH."
        )
        raise InputError(message)
    return names


def _name(source: Source, called: str, root: Path) -> str:
    if called:
        return f"{source.name}-{called}" if source.name else called
    return source.name or root.name or "data"


def _unique(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def _entry(case: Case, dataset: str, root: Path, layout: str) -> Entry:
    image = _relative(case.image, root)
    labels = "" if case.labels is None else _relative(case.labels, root)
    known_by: KnownBy = "table" if case.patient_is_given else "name"
    if layout == BIDS:
        known_by = "subject's folder"
    return Entry(
        dataset,
        case.patient,
        image,
        labels,
        root,
        name=case.patient,
        known_by=known_by,
        structure=case.structure,
        rater=case.rater,
        where=case.where,
    )


def _relative(path: Path, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    _check_text(relative)
    check_inside(relative)
    return relative


def _check_text(path: str) -> None:
    """Refuse names that JSON cannot hold."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        message = f"the name {path!r} is not Unicode; expected UTF-8. Rename the file or folder."
        raise InputError(message) from error


def _check_zero_shot(zero_shot: Collection[str], datasets: Sequence[DataSet]) -> None:
    names = [dataset.name for dataset in datasets]
    unknown = [name for name in zero_shot if name not in names]
    if unknown:
        message = (
            f"zero-shot {', '.join(unknown)}: there is no such data set; expected some of "
            f"{', '.join(names)}."
        )
        raise InputError(message)

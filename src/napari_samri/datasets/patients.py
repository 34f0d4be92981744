"""The patient of each case: from a table, BIDS' folders, the user's patterns, or the names.

Names are read together with all others of their data set.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.datasets.manifest import NameReading
from napari_samri.datasets.name_parts import SEPARATOR, SUBJECT, has_number, read_name
from napari_samri.datasets.patterns import PatternError
from napari_samri.datasets.spelling import composed, folded
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_samri.datasets.entries import Entry
    from napari_samri.datasets.manifest import Study
    from napari_samri.datasets.patterns import PatientPatterns

# Where many names would leave few people, their common part is not a person but, say, a scanner
# or the data set.
FEW_PEOPLE = 2
MANY_NAMES = 4
# People derived from counted scans have no more images than this on average.
MOST_NAMES = 10


def people_of(names: Iterable[str]) -> tuple[dict[str, tuple[str, tuple[str, ...]]], list[str]]:
    """Derive the people from the names of one data set.

    Returns
    -------
    mapping of str to (str, tuple of str)
        By name: the person, and the kinds of parts that were left out.
    list of str
        Names that could be read in another way.
    """
    read = {name: read_name(name) for name in names}
    sure = {name: found.person for name, found in read.items()}
    short = {name: found.short for name, found in read.items()}
    for people in ({name: found.bold for name, found in read.items()}, short):
        if _merges(people, sure) and _bears_out(people):
            return {
                name: (person, read[name].parts or ("short part",) * (person != name))
                for name, person in people.items()
            }, []
    if not _is_plausible(sure) and not all(found.is_subject for found in read.values()):
        return {name: (name, ()) for name in read}, [_doubt(sure)]
    notes = [_doubt(short)] if _merges(short, sure) else []
    return {name: (person, read[name].parts) for name, person in sure.items()}, notes


def _doubt(people: Mapping[str, str]) -> str:
    merged = sorted({person for name, person in people.items() if person != name})
    return (
        f"without their known parts, {len(people)} names would be of {len(set(people.values()))} "
        f"patients only, such as {merged[0]}: each whole name is taken for a patient instead. If "
        "they are several images of one patient, give a pattern."
    )


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Return one spelling for all names that differ in capitals or Unicode's form: the first."""
    first: dict[str, str] = {}
    names = list(names)
    for name in names:
        first.setdefault(folded(name), name)
    return {name: first[folded(name)] for name in names}


def people_in_two_splits(splits: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return pairs of patients of two splits whose names differ only in their last part.

    Only parts after a number count: ``case_1`` and ``case_2`` are two people, but ``p1_a`` and
    ``p1_b`` may be one. What (nearly) all names begin with is a name of the data set.

    Parameters
    ----------
    splits : mapping of str to str
        By patient, of one data set.

    Returns
    -------
    list of (str, str)
        One pair for each beginning.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for patient in sorted(splits):
        groups[_beginning(patient)].append(patient)
    groups.pop("", None)
    most = min(MOST_NAMES, max(2, len(splits) - 1))
    pairs = (_pair(group, splits) for group in groups.values() if len(group) <= most)
    return [pair for pair in pairs if pair]


def _merges(bold: Mapping[str, str], sure: Mapping[str, str]) -> bool:
    return len(set(bold.values())) < len(set(sure.values()))


def _bears_out(people: Mapping[str, str]) -> bool:
    """Tell whether there are many people with a few names each."""
    count = len(set(people.values()))
    return count > FEW_PEOPLE and len(people) <= MOST_NAMES * count


def _is_plausible(people: Mapping[str, str]) -> bool:
    """Tell whether names leave more than a few people, or few with a few names each."""
    left = set(people.values())
    if len(left) == len(people) or len(left) > FEW_PEOPLE:
        return True
    return len(people) <= MANY_NAMES * len(left) and all(map(has_number, left))


def _beginning(patient: str) -> str:
    """Return what stands before the last part of a name if it has a number; else nothing."""
    glued = re.match(r"^(.*\d)[a-z]$", patient, re.IGNORECASE)
    parts = re.split(f"({SEPARATOR})", patient)
    before = glued[1] if glued else "".join(parts[:-2])
    return folded(before) if has_number(before) else ""


def _pair(group: Sequence[str], splits: Mapping[str, str]) -> tuple[str, str] | None:
    first = group[0]
    return next(((first, each) for each in group if splits[each] != splits[first]), None)


def with_patients(
    entries: Sequence[Entry], patterns: PatientPatterns
) -> tuple[list[Entry], list[str], list[str]]:
    """Find the patients of all cases of all data sets.

    A table's column comes first, then the subjects' folders of BIDS, then the user's patterns,
    then the names. One name is one person in all data sets, in any spelling.

    Returns
    -------
    list of Entry
        Those whose patient is known, in their order.
    list of str
        Problems: cases that no pattern matches.
    list of str
        Notes: names that could be read in another way.
    """
    entries, problems = _by_patterns(entries, patterns)
    entries, notes = _by_names(entries)
    given = [entry for entry in entries if entry.known_by == "subject's folder"]
    if patterns and given:
        notes.append(
            f"{len(given)} images, such as {given[0].image}, lie in BIDS' folders of subjects, "
            "which name their patients: the pattern is not used for them. To override them, name "
            "the patients in a CSV."
        )
    spelling = one_spelling(entry.patient for entry in entries)
    return [replace(each, patient=spelling[each.patient]) for each in entries], problems, notes


def readings(entries: Iterable[Entry]) -> tuple[NameReading, ...]:
    """Return how each image's name was read."""
    return tuple(
        NameReading(each.dataset, each.image, each.name, each.patient, each.known_by, each.parts)
        for each in entries
    )


def two_splits_note(studies: Iterable[Study], read: Iterable[NameReading]) -> str:
    """Name people who may be in two splits; empty if there seem to be none."""
    by_name = {
        each.patient for each in read if each.known_by == "name" and SUBJECT not in each.parts
    }
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for study in studies:
        if study.patient in by_name:
            # own patients are called after their data set too
            splits[study.dataset][study.patient.removeprefix(f"{study.dataset}/")] = study.split
    pairs = [
        f"{one} ({found[one]}) and {other} ({found[other]})"
        for found in splits.values()
        for one, other in people_in_two_splits(found)
    ]
    if not pairs:
        return ""
    listed = "; ".join(pairs[:3]) + ("; ..." if len(pairs) > 3 else "")
    return (
        f"{len(pairs)} patients may be on two sides of the split, for their names differ only in "
        f"a last part whose meaning is not known: {listed}. If these are one person each, give a "
        "pattern for patients."
    )


def _by_patterns(
    entries: Iterable[Entry], patterns: PatientPatterns
) -> tuple[list[Entry], list[str]]:
    kept, problems = [], []
    for entry in entries:
        if not patterns or entry.known_by != "name":
            kept.append(entry)
            continue
        try:
            kept.append(replace(entry, patient=patterns.patient(entry.image), known_by="pattern"))
        except PatternError:
            raise
        except InputError as error:
            problems.append(f"{entry.dataset}: {error}")
    return kept, problems


def _by_names(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Read the names of each data set together."""
    names: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.known_by == "name":
            names[entry.dataset].add(_name_to_read(entry))
    people, notes = {}, []
    for dataset, found in names.items():
        people[dataset], said = people_of(sorted(found))
        notes += [f"{dataset}: {note}" for note in said]
    return [_read(entry, people) for entry in entries], notes


def _read(entry: Entry, people: dict[str, dict[str, tuple[str, tuple[str, ...]]]]) -> Entry:
    if entry.known_by != "name":
        return replace(entry, patient=composed(entry.patient))
    patient, parts = people[entry.dataset][_name_to_read(entry)]
    return replace(entry, patient=patient, parts=parts)


def _name_to_read(entry: Entry) -> str:
    """Return the name to read: a subject in the path, or else the layout's name of the case."""
    for part in reversed(entry.image.split("/")):
        if read_name(part).is_subject:
            return read_name(part).person
    return composed(entry.name)

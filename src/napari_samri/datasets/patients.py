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

# Where few people would be left of many names, the names count something else than pictures of
# a person: a scanner, say, or the data set.
FEW_PEOPLE = 2
MANY_NAMES = 4
# Whoever is told boldly has no more pictures than this on average.
MOST_NAMES = 10


def people_of(names: Iterable[str]) -> tuple[dict[str, tuple[str, tuple[str, ...]]], list[str]]:
    """Tell who is who by the names of one data set.

    Returns
    -------
    mapping of str to (str, tuple of str)
        By name: the person, and the kinds of parts that were left out.
    list of str
        What could be told otherwise.
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
        f"patients only, such as {merged[0]}: each whole name is taken for a patient's instead. If "
        "they are several pictures of one patient, give a pattern."
    )


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Return one spelling for all names that differ in capitals or Unicode's form: the first."""
    first: dict[str, str] = {}
    names = list(names)
    for name in names:
        first.setdefault(folded(name), name)
    return {name: first[folded(name)] for name in names}


def torn_people(splits: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return pairs of patients of two splits whose names differ in nothing but their last part.

    Only parts after a number count: ``case_1`` and ``case_2`` are two, but ``p1_a`` and ``p1_b``
    may be one. What all names or very many of them begin with is a name of the data set.

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
    """Tell whether there are many people, each of whom has a few names."""
    count = len(set(people.values()))
    return count > FEW_PEOPLE and len(people) <= MOST_NAMES * count


def _is_plausible(people: Mapping[str, str]) -> bool:
    """Tell whether names leave more than a few people, or few of whom each has a few names."""
    left = set(people.values())
    if len(left) == len(people) or len(left) > FEW_PEOPLE:
        return True
    return len(people) <= MANY_NAMES * len(left) and all(map(has_number, left))


def _beginning(patient: str) -> str:
    """Return what is before the last part of a name, if a number is in it; else nothing."""
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
    """Tell the patients of all cases of all data sets.

    A table's column comes first, then the subjects' folders of BIDS, then the user's patterns,
    then the names. One name is one person in all data sets, however it is spelled.

    Returns
    -------
    list of Entry
        Those whose patient can be told, in their order.
    list of str
        Problems: what no pattern tells.
    list of str
        Notes: what could be told otherwise.
    """
    entries, problems = _by_patterns(entries, patterns)
    entries, notes = _by_names(entries)
    given = [entry for entry in entries if entry.told == "subject's folder"]
    if patterns and given:
        notes.append(
            f"{len(given)} images, such as {given[0].image}, lie in BIDS' folders of subjects, "
            "which tell their patients: the pattern is not used for them. Name patients in a CSV "
            "where it should be."
        )
    spelling = one_spelling(entry.patient for entry in entries)
    return [replace(each, patient=spelling[each.patient]) for each in entries], problems, notes


def readings(entries: Iterable[Entry]) -> tuple[NameReading, ...]:
    """Return how each image's name was read."""
    return tuple(
        NameReading(each.dataset, each.image, each.name, each.patient, each.told, each.parts)
        for each in entries
    )


def torn_note(studies: Iterable[Study], read: Iterable[NameReading]) -> str:
    """Say which people may be on two sides of the split; nothing if it seems to be nobody."""
    by_name = {each.patient for each in read if each.told == "name" and SUBJECT not in each.parts}
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for study in studies:
        if study.patient in by_name:
            # own patients are called after their data set too
            splits[study.dataset][study.patient.removeprefix(f"{study.dataset}/")] = study.split
    pairs = [
        f"{one} ({found[one]}) and {other} ({found[other]})"
        for found in splits.values()
        for one, other in torn_people(found)
    ]
    if not pairs:
        return ""
    listed = "; ".join(pairs[:3]) + ("; ..." if len(pairs) > 3 else "")
    return (
        f"{len(pairs)} patients may be on two sides of the split, for their names differ only in "
        f"a last part whose meaning is not known: {listed}. If these are one person each, give a "
        "pattern that tells the patient."
    )


def _by_patterns(
    entries: Iterable[Entry], patterns: PatientPatterns
) -> tuple[list[Entry], list[str]]:
    kept, problems = [], []
    for entry in entries:
        if not patterns or entry.told != "name":
            kept.append(entry)
            continue
        try:
            kept.append(replace(entry, patient=patterns.patient(entry.image), told="pattern"))
        except PatternError:
            raise
        except InputError as error:
            problems.append(f"{entry.dataset}: {error}")
    return kept, problems


def _by_names(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Read the names of each data set together."""
    names: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.told == "name":
            names[entry.dataset].add(_name_to_read(entry))
    people, notes = {}, []
    for dataset, found in names.items():
        people[dataset], said = people_of(sorted(found))
        notes += [f"{dataset}: {note}" for note in said]
    return [_read(entry, people) for entry in entries], notes


def _read(entry: Entry, people: dict[str, dict[str, tuple[str, tuple[str, ...]]]]) -> Entry:
    if entry.told != "name":
        return replace(entry, patient=composed(entry.patient))
    patient, parts = people[entry.dataset][_name_to_read(entry)]
    return replace(entry, patient=patient, parts=parts)


def _name_to_read(entry: Entry) -> str:
    """Return the name to be read: what the layout takes for the patient's, but subjects first."""
    for part in reversed(entry.image.split("/")):
        if read_name(part).is_subject:
            return read_name(part).person
    return composed(entry.name)

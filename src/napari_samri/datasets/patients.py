"""The patient of each case: from a table, BIDS' folders, the user's patterns, or the names."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.datasets.name_parts import SUBJECT, read_name
from napari_samri.datasets.patterns import PatternError
from napari_samri.datasets.people import NameReading, one_spelling, people_of, torn_people
from napari_samri.datasets.spelling import composed
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_samri.datasets.entries import Entry
    from napari_samri.datasets.manifest import Study
    from napari_samri.datasets.patterns import PatientPatterns


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
            names[entry.dataset].add(_name(entry))
    people, notes = {}, []
    for dataset, found in names.items():
        people[dataset], said = people_of(sorted(found))
        notes += [f"{dataset}: {note}" for note in said]
    return [_read(entry, people) for entry in entries], notes


def _read(entry: Entry, people: dict[str, dict[str, tuple[str, tuple[str, ...]]]]) -> Entry:
    if entry.told != "name":
        return replace(entry, patient=composed(entry.patient))
    patient, parts = people[entry.dataset][_name(entry)]
    return replace(entry, patient=patient, parts=parts)


def _name(entry: Entry) -> str:
    """Return the name to be read: what the layout takes for the patient's, but subjects first."""
    for part in reversed(entry.image.split("/")):
        if read_name(part).is_subject:
            return read_name(part).person
    return composed(entry.name)

"""Who is in the pictures of a data set: told from all of its names together."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.datasets.name_parts import SEPARATOR, has_number, read_name
from napari_samri.datasets.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_samri.datasets.entries import Told

# Where few people would be left of many names, the names count something else than pictures of
# a person: a scanner, say, or the data set.
FEW_PEOPLE = 2
MANY_NAMES = 4
# Whoever is told boldly has no more pictures than this on average.
MOST_NAMES = 10


@dataclass(frozen=True)
class NameReading:
    """How the name of a picture was read.

    Parameters
    ----------
    dataset, image : str
        As in the manifest.
    name : str
        What the layout takes for the name of a case: of a file, or of a folder.
    patient : str
    told : str
        By what: ``table`` (a column), ``subject's folder`` (of BIDS), ``pattern`` or ``name``.
    parts : tuple of str
        Kinds of the parts of the name that say which picture of the patient it is.
    """

    dataset: str
    image: str
    name: str
    patient: str
    told: Told = "name"
    parts: tuple[str, ...] = ()


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

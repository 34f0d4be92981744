"""Cases on their way from a layout to a manifest; files of one structure each, brought together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_samri.datasets.manifest import DataSet, KnownBy


@dataclass(frozen=True)
class Entry:
    """A case of a data set, with paths as a manifest has them.

    Parameters
    ----------
    dataset, patient : str
    image, labels : str
        Relative to the root, with forward slashes; labels are empty for an image without any.
    root : path
    name : str
        What the layout takes for the name of the case.
    known_by : str
        What names the patient.
    parts : tuple of str
        Kinds of the parts of the name that say which image of the patient it is.
    structure, rater, where : str
        As a layout's `Case` has them.
    channel : int or None
        Of a 4D image, which of its volumes.
    classes : tuple of (int, str)
        As `Study` has them.
    """

    dataset: str
    patient: str
    image: str
    labels: str
    root: Path
    name: str = ""
    known_by: KnownBy = "name"
    parts: tuple[str, ...] = ()
    structure: str = ""
    rater: str = ""
    where: str = ""
    channel: int | None = None
    classes: tuple[tuple[int, str], ...] = ()


def with_classes(
    entries: Sequence[Entry], datasets: Sequence[DataSet]
) -> tuple[list[Entry], tuple[DataSet, ...], list[str]]:
    """Make one case of the files of one structure each that an image has, in all data sets.

    A structure has one label in a data set: the one that it is known by, or else the next free
    one, by alphabet. Data sets with a single structure stay as they are.

    Returns
    -------
    list of Entry
        In their order.
    tuple of DataSet
        With the structures' names.
    list of str
        Notes: label files that may use one label for two things.
    """
    result: list[Entry] = []
    named, notes = [], []
    for dataset in datasets:
        mine = [entry for entry in entries if entry.dataset == dataset.name]
        structures = sorted({entry.structure for entry in mine if entry.structure})
        if len(structures) > 1:
            labels = _labels(structures, dataset.label_names)
            mine = _merged(mine, labels)
            names = {label: name for name, label in labels.items()}
            dataset = replace(dataset, label_names={**dataset.label_names, **names})
        named.append(dataset)
        notes += _notes(mine, dataset.name)
        result += mine
    return result, tuple(named), notes


def _labels(structures: Iterable[str], known: Mapping[int, str]) -> dict[str, int]:
    by_name = {name: label for label, name in known.items()}
    labels: dict[str, int] = {}
    for name in structures:
        taken = {*known, *labels.values()}
        free = next(label for label in range(1, len(taken) + 2) if label not in taken)
        labels[name] = by_name.get(name, free)
    return labels


def _merged(entries: Iterable[Entry], labels: Mapping[str, int]) -> list[Entry]:
    """Merge entries of one image; a structure that occurs twice begins another case."""
    result: list[Entry] = []
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for entry in entries:
        if not entry.structure:
            result.append(entry)
            continue
        pair = (labels[entry.structure], entry.labels)
        same = places[entry.image, entry.rater]
        for place in same:
            before = result[place]
            if pair[0] not in dict(before.classes):
                classes = tuple(sorted((*before.classes, pair)))
                result[place] = replace(before, classes=classes, labels=classes[0][1])
                break
        else:
            same.append(len(result))
            result.append(replace(entry, classes=(pair,)))
    return result


def _notes(entries: Sequence[Entry], dataset: str) -> list[str]:
    """Say where one label may stand for two things."""
    plain = [entry for entry in entries if not entry.classes]
    notes = []
    if 0 < len(plain) < len(entries):
        notes.append(
            f"{dataset}: {len(plain)} label files, such as {plain[0].labels}, are label maps, and "
            f"others, such as {entries[0].labels}, hold one structure each: label 1 may stand for "
            "two things."
        )
    by_image: dict[str, list[Entry]] = defaultdict(list)
    for entry in plain:
        if not entry.rater:
            by_image[entry.image].append(entry)
    several = [found for found in by_image.values() if len({each.labels for each in found}) > 1]
    if several:
        first, second, *_ = several[0]
        notes.append(
            f"{dataset}: {len(several)} images have several label files, such as {first.labels} "
            f"and {second.labels}: label 1 is taken for the same thing in all of them. If it is "
            "not, name the structures in the column class of a CSV."
        )
    return notes

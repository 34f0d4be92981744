"""Label files of one image that hold a structure each, told from several people's labels."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.files import stem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_samri.datasets.layouts.base import Case

_RATER = re.compile(
    r"^(rater|reader|observer|obs|annotator|expert|manual|auto|consensus|staple|first|second)"
    r"[-_ ]?\w?$",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[_\-. ]+")
_Group = tuple[str, "Path"]


def with_structures(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """Name the structure of each label file where an image has several.

    Files whose names say that they are several people's, or cases whose rater is given, stay as
    they are: what one calls 1 is 1 for all. Cases that have a structure's name keep it.

    Returns
    -------
    list of Case
        Without those whose structures cannot be told.
    list of str
        Problems: images whose label files may show anything, with the rows that name them.
    """
    groups: dict[_Group, list[Case]] = defaultdict(list)
    for case in cases:
        if not case.structure and not case.rater:
            groups[case.dataset, case.image].append(case)
    several = {key: _told(group) for key, group in groups.items() if _files(group) > 1}
    shared = Counter(name for told in several.values() for name in set(told.values()))
    named: list[Case] = []
    problems: list[str] = []
    for case in cases:
        told = several.get((case.dataset, case.image))
        if told is None or case.structure or case.rater or _are_raters(told):
            named.append(case)
        elif _are_structures(told, shared, len(several)):
            named.append(replace(case, structure=told[case.labels]))
        else:
            problems.append(_problem(case))
    return named, problems


def _files(group: Iterable[Case]) -> int:
    return len({case.labels for case in group})


def _told(group: Sequence[Case]) -> dict[Path, str]:
    """Return what the names of an image's label files do not share, by file."""
    files = list(dict.fromkeys(case.labels for case in group))
    names = [_PARTS.split(stem(file)) for file in files]
    if len({file.name for file in files}) < len(files):  # liver/p1.nii, spleen/p1.nii
        names = [[*file.parent.parts[1:], *parts] for file, parts in zip(files, names, strict=True)]
    begin, end = _shared(names), _shared([name[::-1] for name in names])
    told = ["_".join(name[begin : len(name) - end]) for name in names]
    whole = ["_".join(name) for name in names]
    return dict(zip(files, told if all(told) else whole, strict=True))


def _shared(names: Sequence[Sequence[str]]) -> int:
    """Return with how many parts all names begin; one of each is always left."""
    count = 0
    for parts in zip(*names, strict=False):
        if len(set(parts)) > 1:
            break
        count += 1
    return min(count, min(map(len, names)) - 1)


def _are_raters(told: dict[Path, str]) -> bool:
    return all(_RATER.match(name) for name in told.values())


def _are_structures(told: dict[Path, str], shared: Counter[str], images: int) -> bool:
    """Tell whether names are words, all different, that other images have too."""
    names = set(told.values())
    words = all(re.search(r"[^\W\d_]{2}", name) for name in names)
    recur = images == 1 or any(shared[name] > 1 for name in names)
    return words and recur and len(names) == len(told)


def _problem(case: Case) -> str:
    return (
        f"{case.where or case.labels.name}: other label files are of the same image, and their "
        f"names, such as {case.labels.name}, do not tell what each of them shows, so label 1 could "
        "stand for several things. Name the structures in a column class, or whose labels they are "
        "in a column rater."
    )

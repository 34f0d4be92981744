"""Studies that would leak between splits: shared patients and repeated slices."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from napari_samri.datasets.entries import Entry
    from napari_samri.datasets.manifest import SliceEntry, Study

REPEATED = "slices that repeat others, image and labels"
_Content = tuple[str, tuple[int, int]]


def shared_with_zero_shot(
    entries: Iterable[Entry], zero_shot: Collection[str]
) -> tuple[set[tuple[str, str]], list[str]]:
    """Find patients of zero-shot data sets that are in other data sets too.

    Returns
    -------
    set of (data set, patient)
        Outside of the zero-shot data sets: to be left out.
    list of str
        Problems, one for each of them.
    """
    held_out = {entry.patient: entry.dataset for entry in entries if entry.dataset in zero_shot}
    studies = Counter(
        (entry.dataset, entry.patient)
        for entry in entries
        if entry.dataset not in zero_shot and entry.patient in held_out
    )
    problems = [
        f"{dataset}: the patient {patient} is in the zero-shot data set {held_out[patient]} too, "
        f"so {count} of their studies here are left out. If these are two people, say "
        "that data sets have patients of their own."
        for (dataset, patient), count in studies.items()
    ]
    return set(studies), problems


@dataclass
class _Seen:
    """The study in which a slice was seen first, and the labels it had."""

    study: Study
    labels: set[str] = field(default_factory=set)


@dataclass
class Duplicates:
    """Compares the slices of studies with those of all studies before, by content.

    - The same image under another patient: the later study is left out whole, for the two
      could end in different splits.
    - The same image with the same labels: the slice is left out of the later study.
    - The same image of the same patient with other labels: kept, as a second set of labels.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _seen: dict[_Content, _Seen] = field(default_factory=dict)

    def admit(self, study: Study) -> Study | None:
        """Return the new slices of a study; None if there are none, or it must not be used."""
        known = [(entry, self._seen.get(_content(study, entry))) for entry in study.slices]
        others = [seen.study for _, seen in known if seen and seen.study.patient != study.patient]
        if others:
            self._refuse(study, others)
            return None
        repeats = [seen.study for entry, seen in known if seen and entry.labels_hash in seen.labels]
        fresh = tuple(entry for entry in study.slices if self._register(study, entry))
        self.left_out[REPEATED] += len(study.slices) - len(fresh)
        if repeats:
            self._report(study, repeats)
        return replace(study, slices=fresh) if fresh else None

    def _register(self, study: Study, entry: SliceEntry) -> bool:
        """Remember a slice; tell whether its image has these labels for the first time."""
        seen = self._seen.setdefault(_content(study, entry), _Seen(study))
        is_new = entry.labels_hash not in seen.labels
        seen.labels.add(entry.labels_hash)
        return is_new

    def _refuse(self, study: Study, others: list[Study]) -> None:
        first = others[0]
        self.problems.append(
            f"{_name(study)}: {len(others)} of its {len(study.slices)} slices show the same "
            f"image as {_name(first)}, but their patients are called {study.patient} and "
            f"{first.patient}; the study is left out. Give both one patient, by a pattern or in a "
            "CSV, or remove one of them."
        )

    def _report(self, study: Study, repeats: list[Study]) -> None:
        first = repeats[0]
        what = "the study is" if len(repeats) == len(study.slices) else "these slices are"
        self.problems.append(
            f"{_name(study)}: {len(repeats)} of its {len(study.slices)} slices are, image and "
            f"labels, those of {_name(first)}; {what} left out. Remove one of the two."
        )


def _name(study: Study) -> str:
    return f"{study.dataset}: {study.image}"


def _content(study: Study, entry: SliceEntry) -> _Content:
    return entry.image_hash, study.slice_shape

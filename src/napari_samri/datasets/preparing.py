"""From sources to a manifest, study by study."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.datasets.exclusion import Duplicates, shared_with_zero_shot
from napari_samri.datasets.manifest import Manifest
from napari_samri.datasets.measuring import Measurer
from napari_samri.datasets.patients import readings, two_splits_note
from napari_samri.datasets.rules import Rules, split_of
from napari_samri.datasets.sources import Source, gather
from napari_samri.errors import InputError, InputWarning
from napari_samri.geometry import whole
from napari_samri.jobs import Progressed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence

    from napari_samri.datasets.entries import Entry
    from napari_samri.datasets.manifest import Study
    from napari_samri.datasets.sources import Gathered

LEFT_OUT_STUDIES = "studies with problems"
SourceLike = Source | Path | str


def prepare(
    sources: SourceLike | Iterable[SourceLike],
    rules: Rules | None = None,
    *,
    patient: str | Sequence[str] = (),
    patient_pattern: str | Sequence[str] = (),
    zero_shot: Collection[str] = (),
    max_voxels: int | None = None,
    progress: Callable[[Progressed], None] | None = None,
) -> Manifest:
    """Choose the slices of data sets to train on, and split their patients.

    Studies with problems are left out and listed in the manifest's `problems`.

    Parameters
    ----------
    sources : path, str, Source, or several of them
        Folders or CSV files; a str may be ``NAME=PATH``.
    rules : Rules, optional
        Thresholds, shares of the splits, seed.
    patient, patient_pattern : str or sequence of str
        Regular expressions, those of `patient_pattern` first, tried in turn on an image's path
        relative to its data set's root. The patient is the group called ``patient``, or the first
        group, or all that matched. Patients that a CSV names, and BIDS' subjects, stay. By
        default the names are read, without parts such as ``frame01`` or ``ses-1``.
    zero_shot : collection of str
        Names of data sets that are held out whole.
    max_voxels : int, optional
        Read images of up to this many voxels; by default up to 2 GiB.
    progress : callable, optional
        Called with a `Progressed` after each study; what it raises stops the work.

    Returns
    -------
    Manifest
        With absolute roots; write it with `napari_samri.datasets.write_manifest`. Its
        `names_read` says how each name was read.

    Raises
    ------
    InputError
        If a source cannot be used, or nothing is left.

    Warns
    -----
    InputWarning
        If a split has no patient, names can be read in two ways, patients of different splits
        may be one person, or something about files was repaired or assumed.
    """
    steps = prepare_steps(
        sources,
        rules,
        patient=patient,
        patient_pattern=patient_pattern,
        zero_shot=zero_shot,
        max_voxels=max_voxels,
    )
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            manifest: Manifest = end.value
            return manifest
        if progress is not None:
            progress(step)


def prepare_steps(
    sources: SourceLike | Iterable[SourceLike],
    rules: Rules | None = None,
    *,
    patient: str | Sequence[str] = (),
    patient_pattern: str | Sequence[str] = (),
    zero_shot: Collection[str] = (),
    max_voxels: int | None = None,
) -> Generator[Progressed, None, Manifest]:
    """Do what `prepare` does, study by study.

    Close the generator to cancel: nothing is written here, so nothing is left behind.

    Yields
    ------
    Progressed
        After each study, with the path of its image.

    Returns
    -------
    Manifest
    """
    rules = rules or Rules()
    max_voxels = None if max_voxels is None else whole(max_voxels, "max_voxels")
    patterns = (*_several(patient_pattern), *_several(patient))
    gathered = gather(_as_sources(sources), patterns, zero_shot)
    run = _Run(rules, gathered)
    measurer = Measurer(rules, max_voxels)
    for number, entry in enumerate(run.entries, start=1):
        run.measure(entry, measurer)
        yield Progressed(done=number, total=len(run.entries), what=entry.image)
    return run.finish()


@dataclass
class _Run:
    """What was found so far."""

    rules: Rules
    gathered: Gathered
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    measured: list[tuple[Study, Counter[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        entries = list(self.gathered.entries)
        if self.rules.own_patients:
            entries = [replace(each, patient=f"{each.dataset}/{each.patient}") for each in entries]
        self.names_read = readings(entries)
        excluded, problems = shared_with_zero_shot(entries, self._zero_shot)
        self.entries = [each for each in entries if (each.dataset, each.patient) not in excluded]
        self.left_out = self.gathered.left_out + self.left_out
        self.left_out[LEFT_OUT_STUDIES] += len(entries) - len(self.entries)
        self.problems = [*self.gathered.problems, *problems]

    @property
    def _zero_shot(self) -> set[str]:
        return {dataset.name for dataset in self.gathered.datasets if dataset.zero_shot}

    def measure(self, entry: Entry, measurer: Measurer) -> None:
        """Measure a study; a problem with it is noted."""
        held_out = entry.dataset in self._zero_shot
        split = "zero-shot" if held_out else split_of(entry.patient, self.rules)
        try:
            with _noting(self.notes):
                self.measured.append(measurer.measure(entry, split))
        except InputError as error:
            self.left_out[LEFT_OUT_STUDIES] += 1
            text = str(error).replace(f"{entry.root}{os.sep}", "")  # the manifest may move
            where = f"{entry.where}: " if entry.where else ""
            self.problems.append(f"{entry.dataset}: {where}{text}")

    def finish(self) -> Manifest:
        """Compare the studies with each other and return the manifest."""
        studies = self._admitted()
        # Damaged labels of several channels are one problem.
        problems = tuple(dict.fromkeys(_printable(problem) for problem in self.problems))
        if not studies:
            raise InputError(_nothing_left(len(self.gathered.entries), problems))
        datasets, left_out = self.gathered.datasets, +self.left_out
        manifest = Manifest(
            datasets,
            studies,
            self.rules,
            dict(sorted(left_out.items())),
            problems,
            names_read=self.names_read,
        )
        self._warn(manifest)
        return manifest

    def _admitted(self) -> tuple[Study, ...]:
        """Return the studies without duplicates, of which zero-shot data sets keep theirs."""
        duplicates = Duplicates()
        admitted = {}
        order = sorted(
            range(len(self.measured)), key=lambda n: self.measured[n][0].split != "zero-shot"
        )
        for number in order:
            study, left_out = self.measured[number]
            fresh = duplicates.admit(study)
            if fresh is None:
                self.left_out[LEFT_OUT_STUDIES] += 1
            else:
                admitted[number] = fresh
                self.left_out += left_out
        self.left_out += duplicates.left_out
        self.problems += duplicates.problems
        return tuple(study for _, study in sorted(admitted.items()))

    def _warn(self, manifest: Manifest) -> None:
        empty = ", ".join(manifest.empty_splits)
        if empty:
            people = len({study.patient for study in manifest.studies})
            message = (
                f"no patient is in the split {empty}: {people} in all. Add patients or take "
                "another seed; if patients are taken for one, tell them apart by a pattern."
            )
            warnings.warn(message, InputWarning, stacklevel=4)
        torn = two_splits_note(manifest.studies, self.names_read)
        for note in (*self.gathered.notes, *([torn] if torn else ())):
            warnings.warn(note, InputWarning, stacklevel=4)
        if self.notes:
            message = f"{len(self.notes)} notes on files, the first: {self.notes[0]}"
            warnings.warn(message, InputWarning, stacklevel=4)


def _several(patterns: str | Sequence[str]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def _as_sources(sources: SourceLike | Iterable[SourceLike]) -> list[Source]:
    several = [sources] if isinstance(sources, SourceLike) else list(sources)
    if not several:
        message = "there is no source; expected at least one folder or CSV file."
        raise InputError(message)
    return [_as_source(source) for source in several]


def _as_source(source: SourceLike) -> Source:
    if isinstance(source, str):
        return Source.parse(source)
    return Source(source) if isinstance(source, Path) else source


@contextmanager
def _noting(notes: list[str]) -> Iterator[None]:
    """Collect what is noted on files, rather than show a thousand notes; pass on the rest."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        try:
            yield
        finally:
            notes += [str(each.message) for each in caught if each.category is InputWarning]
    for each in caught:
        if each.category is not InputWarning:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _printable(text: str) -> str:
    """Return a text that JSON can hold: names of files need not be Unicode."""
    return text.encode(errors="backslashreplace").decode()


def _nothing_left(total: int, problems: Sequence[str]) -> str:
    listed = "".join(f"\n  {problem}" for problem in problems)
    return (
        f"nothing is left of {total} studies, so nothing was written; expected at least one. "
        f"The problems:{listed or ' no image with labels was found.'}"
    )

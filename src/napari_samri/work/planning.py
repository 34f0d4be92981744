"""Which parts of a bank a manifest still needs, and which shards of them are to be done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_samri.embeddings.bank import (
    PartPlan,
    create_bank,
    create_part,
    is_bank,
    parts_of,
    read_header,
    slice_place,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_samri.datasets import Manifest
    from napari_samri.embeddings.bank import BankHeader, Part, SlicePlace

    # Hashes of a slice's grey values and of its labels.
    Content = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Task:
    """A shard to be done."""

    part: Part
    shard: int

    @property
    def rows(self) -> range:
        """The rows of the part that it holds."""
        return self.part.plan.rows_of(self.shard)


def plan_parts(bank: Path, header: BankHeader, manifest: Manifest) -> list[Part]:
    """Return the parts that are to be filled or completed, made if need be.

    Slices that the bank has already, of the same content and labels, are not planned again.
    Parts of other data sets than the manifest's are left alone.

    Raises
    ------
    ModelError, InputError, StoreError
        If the bank is of another encoder or kind, or cannot be written.
    """
    header = continuing(bank, header)
    create_bank(bank, header)
    known = {dataset.name for dataset in manifest.datasets}
    parts = parts_of(bank)
    todo = []
    for part in parts:
        mine = {study.dataset for study in part.plan.manifest.studies} <= known
        if mine and _is_open(part):
            todo.append(part)
    rest = _without(manifest, _newest(parts))
    if rest.rows:
        plan = PartPlan.of(header, rest)
        todo.append(create_part(bank, plan, again=_is_outdated(plan, parts)))
    return todo


def continuing(bank: Path, header: BankHeader) -> BankHeader:
    """Return a header of the version that the bank has already."""
    return replace(header, version=read_header(bank).version) if is_bank(bank) else header


def changes_in(bank: Path, manifest: Manifest) -> tuple[int, int]:
    """Return how many slices a manifest has that a bank has not so, and how many only the bank has.

    Slices that could not be read are the bank's too.
    """
    own: dict[SlicePlace, Content] = {}
    for part in parts_of(bank):
        own |= dict(_slices(part.plan.manifest))
    wanted = dict(_slices(manifest))
    new = sum(own.get(place) != content for place, content in wanted.items())
    return new, len(own.keys() - wanted.keys())


def _is_outdated(plan: PartPlan, parts: Sequence[Part]) -> bool:
    """Tell whether a part of this plan is there, and a later one has other content in its places.

    Going back to earlier labels needs the plan once more: the newest part counts.
    """
    places = dict(_slices(plan.manifest))
    same = [number for number, part in enumerate(parts) if part.plan.id == plan.id]
    later = parts[same[-1] + 1 :] if same else ()
    return any(place in places for part in later for place, _ in _slices(part.plan.manifest))


def tasks_of(parts: Sequence[Part], rank: int = 0, ranks: int = 1) -> list[Task]:
    """Return every `ranks`-th shard of all parts, from the shard `rank` on, done or not."""
    every = [Task(part, shard) for part in parts for shard in range(part.plan.shards)]
    return every[rank::ranks]


def _is_open(part: Part) -> bool:
    """Tell whether a part is not complete; one that was is opened again if a shard is torn."""
    if not part.sealed:
        return True
    torn = part.missing_shards()
    if torn:
        part.reopen(torn)
    return bool(torn)


def _newest(parts: Iterable[Part]) -> dict[SlicePlace, Content]:
    """Return the content that each place has, or will have once all parts are complete."""
    found = {}
    for part in parts:
        absent = frozenset(part.missing_rows()) if part.sealed else frozenset()
        for row, (place, content) in enumerate(_slices(part.plan.manifest)):
            if row not in absent:
                found[place] = content
    return found


def _slices(manifest: Manifest) -> Iterator[tuple[SlicePlace, Content]]:
    for study in manifest.studies:
        for entry in study.slices:
            yield slice_place(study, entry), (entry.image_hash, entry.labels_hash)


def _without(manifest: Manifest, known: dict[SlicePlace, Content]) -> Manifest:
    """Return a manifest of the slices whose content the bank does not have."""
    studies = []
    for study in manifest.studies:
        left = tuple(
            entry
            for entry in study.slices
            if known.get(slice_place(study, entry)) != (entry.image_hash, entry.labels_hash)
        )
        if left:
            studies.append(replace(study, slices=left))
    return replace(manifest, studies=tuple(studies))

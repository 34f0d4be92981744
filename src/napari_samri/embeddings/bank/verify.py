"""A bank read from end to end; what is damaged is listed, and taken away if that is asked for."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_samri.embeddings.bank.arrays import create_arrays
from napari_samri.embeddings.bank.checks import (
    Damage,
    digest_damage,
    shard_damage,
    table_damage,
)
from napari_samri.embeddings.bank.digests import DIGESTS
from napari_samri.embeddings.bank.header import header_differs, read_header
from napari_samri.embeddings.bank.part import Part
from napari_samri.embeddings.bank.parts import open_part, part_folders
from napari_samri.errors import InputError
from napari_samri.jobs import Event, Finished, Noted, Problem, Progressed, Started, Stopped, never

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_samri.embeddings.bank.header import BankHeader
    from napari_samri.jobs import Cancel


def verify_bank(
    bank: Path, *, quick: bool = False, drop: bool = False, cancel: Cancel = never
) -> Iterator[Event]:
    """Check the plans, tables, shards, chunks and scales of a bank.

    Parameters
    ----------
    bank : pathlib.Path
    quick : bool
        Trust the chunks: read the index of each shard only.
    drop : bool
        Take damaged shards away, so that ``napari-samri embed`` does these again, and make
        damaged tables anew.
    cancel : callable

    Yields
    ------
    Event
        A `Problem` for each damage. The details of `Finished` list them all.

    Raises
    ------
    InputError
        If it is no bank.
    StoreError
        If damaged shards cannot be taken away.
    """
    header = read_header(bank)
    opened = [_opened(folder, header) for folder in part_folders(bank)]
    parts = [part for part in opened if isinstance(part, Part)]
    damages = [damage for damage in opened if isinstance(damage, Damage)]
    if header_differs(bank, header):
        damages.append(Damage(bank.name, "zarr.json", None, "not as it is written"))
    for damage in damages:
        yield Problem(text=str(damage))
    for part in parts:
        if part.sealed and not (part.path / DIGESTS).exists():
            yield Noted(text=f"{part.path.name}: no digests, so checked by its checksums only")
    total = sum(part.plan.shards for part in parts)
    yield Started(what="shards", total=total)
    for done, found in enumerate(_damages(parts, quick=quick), 1):
        for damage in found:
            yield Problem(text=str(damage))
        damages += found
        yield Progressed(done=done, total=total, what="shards")
        if cancel():
            yield Stopped(text=f"stopped after {done:,} of {total:,} shards; nothing was changed")
            return
    if drop:
        yield from _dropped(parts, damages)
    yield Finished(
        text=f"{bank}: {total:,} shards, {len(damages):,} damaged files",
        details={"damaged": [asdict(damage) for damage in damages]},
    )


def _opened(folder: Path, header: BankHeader) -> Part | Damage:
    try:
        return open_part(folder, header)
    except InputError as error:
        return Damage(folder.name, "plan.json", None, str(error))


def _damages(parts: Sequence[Part], *, quick: bool) -> Iterator[list[Damage]]:
    """Yield what is wrong with each shard; with the first one of a part, with its tables."""
    for part in parts:
        tables = table_damage(part)
        digests, altered = digest_damage(part)
        named = {damage.what for damage in tables}
        tables += [damage for damage in altered if damage.what not in named]
        for shard in range(part.plan.shards):
            yield tables + shard_damage(part, shard, digests, quick=quick)
            tables = []


def _dropped(parts: Sequence[Part], damages: Sequence[Damage]) -> Iterator[Noted]:
    for part in parts:
        mine = [damage for damage in damages if damage.part == part.path.name]
        shards = sorted({damage.shard for damage in mine if damage.shard is not None})
        if not mine:
            continue
        part.reopen(shards)
        _remake_tables(part)
        if shards:
            text = f"took {len(shards):,} shards away; 'napari-samri embed' does them again"
        elif not part.missing_shards():
            part.seal()
            text = "made its tables anew"
        else:
            text = "made its tables anew; 'napari-samri embed' does what is missing"
        yield Noted(text=f"{part.path.name}: {text}")


def _remake_tables(part: Part) -> None:
    plan = part.plan
    with part.staged() as stage:
        create_arrays(stage / "part", plan.header, plan.rows, plan.largest_label)
        for path in (stage / "part").rglob("zarr.json"):
            path.replace(part.path / path.relative_to(stage / "part"))
        shutil.rmtree(part.path / "rows", ignore_errors=True)
        part.put_table("rows", plan.row_table(), stage)

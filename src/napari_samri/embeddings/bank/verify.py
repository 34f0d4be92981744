"""A bank read from end to end; what is damaged is listed, and taken away if that is asked for."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.arrays import SHARD_ROWS, create_arrays
from napari_samri.embeddings.bank.digests import DIGESTS, file_digests, shard_digests
from napari_samri.embeddings.bank.files import ShardFile, present, read_index
from napari_samri.embeddings.bank.header import header_differs, read_header
from napari_samri.embeddings.bank.part import Part, open_part, part_folders
from napari_samri.embeddings.bank.reading import read_column
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs import Event, Finished, Noted, Problem, Progressed, Started, Stopped, never

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.arrays import Column
    from napari_samri.embeddings.bank.files import Index, Table
    from napari_samri.embeddings.bank.header import BankHeader
    from napari_samri.jobs import Cancel

# What reading a damaged zarr array or table raises, as far as is known.
_DAMAGED = (OSError, ValueError, LookupError, TypeError, RuntimeError)


@dataclass(frozen=True)
class Damage:
    """A file of a part, or several, that cannot be used.

    Parameters
    ----------
    part : str
        Name of its folder.
    what : str
        Name of the array, table or file.
    shard : int or None
        None for what belongs to the part as a whole.
    text : str
        What is wrong with it.
    """

    part: str
    what: str
    shard: int | None
    text: str

    def __str__(self) -> str:
        where = "" if self.shard is None else f", shard {self.shard}"
        return f"{self.part}{where}, {self.what}: {self.text}"


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
        tables = _table_damage(part)
        digests, altered = _digest_damage(part)
        named = {damage.what for damage in tables}
        tables += [damage for damage in altered if damage.what not in named]
        for shard in range(part.plan.shards):
            yield tables + _shard_damage(part, shard, digests, quick=quick)
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


def _shard_damage(
    part: Part, shard: int, digests: Mapping[str, str], *, quick: bool
) -> list[Damage]:
    """Return what is wrong with a shard; one that is not yet there is not damaged.

    Parameters
    ----------
    part : Part
    shard : int
    digests : mapping of str to str
        Of the part's files, as `Part.digests` has them.
    quick : bool
        Look at indices and scales only, not at every chunk.
    """
    if not part.sealed and not part.shard_path(part.mark_array, shard).exists():
        return []
    found = dict(_array_damage(part, shard, quick=quick))
    if digests and not quick:
        now = shard_digests(part.path, part.plan, shard)
        for key in sorted(_differing(digests, now, now)):
            found.setdefault(key.partition("/")[0], _ALTERED)
    return [Damage(part.path.name, name, shard, text) for name, text in found.items()]


_ALTERED = "not the file that was there when the part was completed"


def _differing(
    digests: Mapping[str, str], now: Mapping[str, str], names: Iterable[str]
) -> set[str]:
    return {name for name in names if digests.get(name) != now.get(name)}


def _array_damage(part: Part, shard: int, *, quick: bool) -> Iterator[tuple[str, str]]:
    indices = {
        name: read_index(part.shard_path(name, shard), SHARD_ROWS) for name in part.plan.arrays
    }
    for name, index in indices.items():
        if index is None:
            yield name, "torn" if part.shard_path(name, shard).exists() else "missing"
        elif not quick and (bad := _bad_chunks(part, name, shard, index)):
            yield name, f"{len(bad)} rows damaged, the first is the row {bad[0]} of the part"
    mark = indices[part.mark_array]
    if mark is None:
        return
    there = present(mark)
    for name, index in indices.items():
        expected = there & _labelled(part, shard) if name == "labels" else there
        if index is not None and not np.array_equal(present(index), expected):
            yield name, "has other rows than the embeddings"
    for column in part.plan.columns.values():
        if text := _column_damage(part, shard, column, there):
            yield column.name, text


def _labelled(part: Part, shard: int) -> NDArray[np.bool_]:
    """Return which rows (64,) of a shard are of slices with labels."""
    rows = part.plan.rows_of(shard)
    return np.resize(part.plan.labelled[rows.start : rows.stop], SHARD_ROWS)


def _bad_chunks(part: Part, name: str, shard: int, index: Index) -> list[int]:
    file = ShardFile(part.shard_path(name, shard), index)
    unpack = part.plan.arrays[name].unpack
    bad = []
    for row, there in zip(part.plan.rows_of(shard), present(index), strict=False):
        try:
            body = file.chunk(row % SHARD_ROWS) if there else None
            if body is not None:
                unpack(body)
        except _DAMAGED:
            bad.append(row)
    file.close()
    return bad


def _column_damage(part: Part, shard: int, column: Column, there: NDArray[np.bool_]) -> str:
    path = part.shard_path(column.name, shard)
    try:
        rows = read_column(column, path)
    except StoreError:
        return "torn" if path.exists() else "missing"
    if not (rows >= 0).all():
        return "not a scale of 0 or more for each channel"
    if not np.array_equal(rows.any(axis=1), there):
        return "has other rows than the embeddings"
    return ""


def _table_damage(part: Part) -> list[Damage]:
    """Return what is wrong with the tables of a part, and with the files that describe arrays.

    All of them can be made again from the plan: see `_remake_tables`.
    """
    wrong = list(_misdescribed(part))
    if not _same_table(part.path / "rows", part.plan.row_table()):
        wrong.append("rows")
    wrong += _seal_damage(part)
    found = dict.fromkeys(wrong, "not what the plan says")
    return [Damage(part.path.name, name, None, text) for name, text in found.items()]


def _digest_damage(part: Part) -> tuple[dict[str, str], list[Damage]]:
    """Return the digests of a part's files, and which of those beside the shards differ.

    Parts of before digests, and those whose digests are damaged themselves, have none.
    """
    try:
        digests = part.digests()
    except InputError as error:
        if part.sealed and _mark_damaged(part):
            return {}, []  # told of as what it is
        return {}, [Damage(part.path.name, DIGESTS, None, str(error))]
    now = file_digests(part.path, part.plan)
    shards = {key for key in digests if key.rpartition("/")[2].startswith("c.")}
    names = {*now, *digests} - shards if digests else set()
    wrong = sorted({_what(name) for name in _differing(digests, now, names)})
    return digests, [Damage(part.path.name, name, None, _ALTERED) for name in wrong]


def _what(name: str) -> str:
    """Return the array, table or file that a file of a part belongs to."""
    return name.partition("/")[0]


def _mark_damaged(part: Part) -> bool:
    try:
        part.mark()
    except InputError:
        return True
    return False


def _misdescribed(part: Part) -> Iterator[str]:
    """Yield the arrays whose description, for zarr, is not what the plan asks for."""
    import zarr

    plan = part.plan
    with TemporaryDirectory() as folder:
        expected = Path(folder) / "part"
        create_arrays(expected, plan.header, plan.rows, plan.largest_label)
        for path in sorted(expected.glob("*/zarr.json")):
            name = path.parent.name
            try:
                found = zarr.open_array(part.path / name, mode="r").metadata
                same = found == zarr.open_array(path.parent, mode="r").metadata
            except _DAMAGED:
                same = False
            if not same:
                yield name


def _seal_damage(part: Part) -> list[str]:
    if not part.sealed:
        # Both are made when the part is complete, and go before it is reopened.
        was_sealed = any((part.path / name).exists() for name in (DIGESTS, "pairs"))
        return ["sealed.json"] if was_sealed else []
    try:
        missing = part.missing_rows()
        if missing != part.absent_rows():
            return ["sealed.json"]
    except InputError:
        return ["sealed.json"]
    except StoreError:
        pass  # a whole shard is missing, which is told of it
    return [] if _same_table(part.path / "pairs", part.plan.pair_table(missing)) else ["pairs"]


def _same_table(folder: Path, table: Table) -> bool:
    import zarr

    try:
        return all(
            _same_column(zarr.open_array(folder / name, mode="r"), column)
            for name, column in table.items()
        )
    except _DAMAGED:
        return False


def _same_column(found: Any, column: NDArray[Any]) -> bool:
    return found.dtype == column.dtype and np.array_equal(found[...], column)

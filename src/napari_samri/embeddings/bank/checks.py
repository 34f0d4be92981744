"""What of a part is not as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.arrays import PICTURES, SHARD_ROWS, create_arrays
from napari_samri.embeddings.bank.digests import DIGESTS, file_digests, shard_digests
from napari_samri.embeddings.bank.open_files import read_scales
from napari_samri.embeddings.bank.shard_file import ShardFile, present, read_index
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.part import Part
    from napari_samri.embeddings.bank.shard_file import Index

    Array = NDArray[Any]

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


def shard_damage(
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
    if not part.sealed and not part.shard_path("emb", shard).exists():
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
            there = part.shard_path(name, shard).exists()
            yield name, "torn" if there else "missing"
        elif not quick and (bad := _bad_chunks(part, name, shard, index)):
            yield name, f"{len(bad)} rows damaged, the first is the row {bad[0]} of the part"
    emb = indices["emb"]
    if emb is None:
        return
    for name in PICTURES:
        index = indices[name]
        if index is not None and not np.array_equal(present(index), present(emb)):
            yield name, "has other rows than the embeddings"
    if part.plan.header.quantisation == "int8" and (text := _scale_damage(part, shard, emb)):
        yield "scale", text


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


def _scale_damage(part: Part, shard: int, emb: Index) -> str:
    try:
        scales = read_scales(part.shard_path("scale", shard))
    except (StoreError, ValueError):
        there = part.shard_path("scale", shard).exists()
        return "torn" if there else "missing"
    if scales.shape[1] != part.plan.header.embedding_shape[0] or not (scales >= 0).all():
        return "not a scale of 0 or more for each channel"
    if not np.array_equal(scales.any(axis=1), present(emb)):
        return "has other rows than the embeddings"
    return ""


def table_damage(part: Part) -> list[Damage]:
    """Return what is wrong with the tables of a part, and with the files that describe arrays.

    All of them can be made anew from the plan: see `napari_samri.embeddings.bank.verify`.
    """
    wrong = list(_misdescribed(part))
    if not _same_table(part.path / "rows", part.plan.row_table()):
        wrong.append("rows")
    wrong += _seal_damage(part)
    found = dict.fromkeys(wrong, "not what the plan says")
    return [Damage(part.path.name, name, None, text) for name, text in found.items()]


def digest_damage(part: Part) -> tuple[dict[str, str], list[Damage]]:
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


def _same_table(folder: Path, table: Mapping[str, Array]) -> bool:
    import zarr

    try:
        return all(
            _same_column(zarr.open_array(folder / name, mode="r"), column)
            for name, column in table.items()
        )
    except _DAMAGED:
        return False


def _same_column(found: Any, column: Array) -> bool:
    return found.dtype == column.dtype and np.array_equal(found[...], column)

"""The zarr arrays of a part: how rows become bytes, and where their shards lie.

zarr itself makes the empty arrays only. Shards are written whole, each by one process: several
that write into one zarr array can lose each other's chunks (zarr-python#3682). 8 bits are taken
from the half-precision values, so that it makes no difference whether features were just computed
or kept in half precision by an interrupted run or a cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.files import checksum, zarr_group
from napari_samri.embeddings.features import suffix_of
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.header import BankHeader

    Array = NDArray[Any]
    FloatArray = NDArray[np.float32]
    Half = NDArray[np.float16]

SHARD_ROWS = 64
KEY_BYTES = 32
LARGEST_INT8 = 127
_ZSTD_LEVEL = 1
# What is padding in a slice is nearly constant in its embedding. Of half-precision numbers LZ4
# finds that once their high and low bytes lie apart, in a third of the time that zstd takes.
_LZ4_LEVEL = 9
# Small against an embedding, and read by nobody in a hurry.
_PICTURE_ZSTD_LEVEL = 9
# All shards of an array in one folder: with zarr's usual slashes each would have three of its own.
_LAYOUT: dict[str, Any] = {
    "chunk_key_encoding": {"name": "default", "separator": "."},
    "fill_value": 0,
}


@dataclass(frozen=True, eq=False)
class BankRow:
    """What a bank stores of a slice.

    Parameters
    ----------
    features : mapping of str to float16 array (C, h, w)
    thumb : uint8 array (L, L)
        The slice in the decoder's low-resolution frame.
    labels : integer array (L, L) or None
        Its labels in the same frame; None for a slice without labels.
    key : str
        Content key of the features, stored where `BankHeader.keyed`.
    """

    features: Mapping[str, Half]
    thumb: NDArray[np.uint8]
    labels: Array | None
    key: str


@dataclass(frozen=True)
class RowArray:
    """An array of which each row is a chunk of its own, 64 of them in a shard.

    Parameters
    ----------
    name : str
    dtype : numpy.dtype
    shape : tuple of int
        Of a row.
    zstd_level : int or None
        None: LZ4 over shuffled bytes, by Blosc.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    zstd_level: int | None

    def pack(self, row: Array) -> bytes:
        """Return a row as the bytes of its chunk, without their checksum.

        Raises
        ------
        StoreError
            If its shape is another, or an integer does not fit.
        """
        largest = np.iinfo(self.dtype).max if self.dtype.kind == "u" else None
        if row.shape != self.shape or (largest is not None and row.max() > largest):
            message = (
                f"a row of '{self.name}' has the shape {row.shape} and values up to "
                f"{row.max()}; expected {self.shape}, {self.dtype}."
            )
            raise StoreError(message)
        plain = np.ascontiguousarray(row, self.dtype)
        if self.zstd_level is None:
            blosc = _blosc()
            return bytes(blosc.compress(plain, b"lz4", _LZ4_LEVEL, blosc.SHUFFLE))
        from numcodecs import zstd

        return bytes(zstd.compress(plain, self.zstd_level))

    def unpack(self, body: memoryview) -> Array:
        """Return the row that `pack` was given, read-only."""
        if self.zstd_level is None:
            plain = _blosc().decompress(body)
        else:
            from numcodecs import zstd

            plain = zstd.decompress(body)
        return np.frombuffer(plain, self.dtype).reshape(self.shape)

    def codecs(self) -> list[Any]:
        """Return what zarr is to do, and undo, with a chunk's bytes."""
        from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

        if self.zstd_level is not None:
            return [ZstdCodec(level=self.zstd_level), Crc32cCodec()]
        size = self.dtype.itemsize
        lz4 = BloscCodec(typesize=size, cname="lz4", clevel=_LZ4_LEVEL, shuffle="shuffle")
        return [lz4, Crc32cCodec()]


@dataclass(frozen=True)
class Column:
    """An array of few numbers a row, of which the 64 rows of a shard are one chunk.

    Parameters
    ----------
    name : str
    dtype : numpy.dtype
    width : int
        Numbers a row.
    """

    name: str
    dtype: np.dtype[Any]
    width: int

    def pack(self, rows: Mapping[int, Array]) -> bytes:
        """Return the chunk, with its checksum, of rows by their place in the shard."""
        table = np.zeros((SHARD_ROWS, self.width), self.dtype)
        for place, row in rows.items():
            table[place] = row
        return table.tobytes() + checksum(table.tobytes())

    def unpack(self, body: memoryview) -> Array:
        """Return the rows (64, width) of a chunk without its checksum, read-only."""
        return np.frombuffer(body, self.dtype).reshape(SHARD_ROWS, self.width)


def _blosc() -> Any:
    from numcodecs import blosc

    # As zarr has it too: with several threads of its own, equal numbers can give other bytes.
    blosc.use_threads = False
    return blosc


def row_arrays(header: BankHeader, largest_label: int = 0) -> dict[str, RowArray]:
    """Return ``labels``, ``thumb`` and the features of a part, in the order of writing.

    Parameters
    ----------
    header : BankHeader
    largest_label : int
        Decides between uint8 and uint16.
    """
    square = (header.low_res_size, header.low_res_size)
    labels = np.dtype(np.uint8 if largest_label <= np.iinfo(np.uint8).max else "<u2")
    kind: tuple[np.dtype[Any], int | None] = (np.dtype("<f2"), None)
    if header.is_int8:
        kind = (np.dtype(np.int8), _ZSTD_LEVEL)
    arrays = (
        RowArray("labels", labels, square, _PICTURE_ZSTD_LEVEL),
        RowArray("thumb", np.dtype(np.uint8), square, _PICTURE_ZSTD_LEVEL),
        *(
            RowArray(emb_of(name), kind[0], shape, kind[1])
            for name, shape in sorted(header.features.items(), reverse=True)
        ),
    )
    return {array.name: array for array in arrays}


def columns(header: BankHeader) -> dict[str, Column]:
    """Return the ``key``, or of int8 the ``scale`` of each feature, in the order of writing."""
    found = [Column("key", np.dtype(np.uint8), KEY_BYTES)] if header.keyed else []
    if header.is_int8:
        found += [
            Column(scale_of(name), np.dtype("<f4"), shape[0])
            for name, shape in sorted(header.features.items())
        ]
    return {column.name: column for column in found}


def emb_of(feature: str) -> str:
    """Return the name of a feature's array."""
    return f"emb{suffix_of(feature)}"


def scale_of(feature: str) -> str:
    """Return the name of the column of a feature's scales."""
    return f"scale{suffix_of(feature)}"


def mark_of(header: BankHeader) -> str:
    """Return the array whose file is put into place last: with it a shard is there."""
    return emb_of(min(header.features))


def create_arrays(part: Path, header: BankHeader, rows: int, largest_label: int) -> None:
    """Make the empty arrays and columns of a part.

    Parameters
    ----------
    part : pathlib.Path
        An empty folder.
    header : BankHeader
    rows : int
    largest_label : int
    """
    from zarr.codecs import Crc32cCodec

    with zarr_group(part) as group:
        for array in row_arrays(header, largest_label).values():
            group.create_array(
                array.name,
                shape=(rows, *array.shape),
                chunks=(1, *array.shape),
                shards=(SHARD_ROWS, *array.shape),
                dtype=array.dtype,
                compressors=array.codecs(),
                **_LAYOUT,
            )
        for column in columns(header).values():
            group.create_array(
                column.name,
                shape=(rows, column.width),
                chunks=(SHARD_ROWS, column.width),
                dtype=column.dtype,
                compressors=[Crc32cCodec()],
                **_LAYOUT,
            )


_DIMENSIONS = {"emb": 4, "labels": 3, "thumb": 3, "scale": 2, "key": 2}


def shard_key(name: str, shard: int) -> str:
    """Return where a shard of an array or column lies, relative to the part."""
    return f"{name}/c.{shard}" + ".0" * (_DIMENSIONS[name.partition(".")[0]] - 1)


def stored_values(header: BankHeader, row: BankRow) -> dict[str, Array]:
    """Return a row as it is stored, by array or column; labels only if there are any."""
    values: dict[str, Array] = {"thumb": row.thumb}
    if row.labels is not None:
        values["labels"] = row.labels
    if header.keyed:
        values["key"] = np.frombuffer(bytes.fromhex(row.key), np.uint8)
    for name, half in row.features.items():
        values[emb_of(name)] = half
        if header.is_int8:
            values[emb_of(name)], values[scale_of(name)] = to_int8(half)
    return values


def to_half(feature: Array) -> Half:
    """Return a feature (C, h, w) in half precision (relative error up to 5e-4).

    Raises
    ------
    StoreError
        If a value is not finite or exceeds what half precision can hold.
    """
    with np.errstate(over="ignore"):
        half = feature.astype(np.float16)
    if not np.isfinite(half).all():
        message = (
            "the embedding has values that are not finite or above 65504, which cannot be "
            "stored; check the model's checkpoint."
        )
        raise StoreError(message)
    return half


def to_int8(half: Half) -> tuple[NDArray[np.int8], FloatArray]:
    """Return a feature (C, h, w) as int8 and the scale (C,) of each channel.

    The scale is the channel's largest absolute value over 127; a channel of zeros has scale 0.
    """
    values = half.astype(np.float32)
    scale = np.abs(values).max(axis=(1, 2)) / LARGEST_INT8
    divisor = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(values / divisor[:, None, None]).astype(np.int8), scale.astype(np.float32)


def from_int8(stored: NDArray[np.int8], scale: FloatArray) -> FloatArray:
    """Return features (..., C, h, w) of int8 with scales (..., C) as float32."""
    return np.multiply(stored, scale[..., None, None], dtype=np.float32)

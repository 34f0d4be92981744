"""The zarr arrays of a part: how their rows are stored, and where their shards lie.

zarr itself makes the empty arrays only. Shards are written whole, by whoever owns them: several
processes that write into one zarr array can lose each other's chunks (zarr-python#3682).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings.bank.zarr_files import zarr_group
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.header import BankHeader

    Array = NDArray[Any]

SHARD_ROWS = 64
PICTURES = ("labels", "thumb")
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


def _blosc() -> Any:
    from numcodecs import blosc

    # As zarr has it too: with several threads of its own, equal numbers can give other bytes.
    blosc.use_threads = False
    return blosc


def row_arrays(header: BankHeader, largest_label: int) -> dict[str, RowArray]:
    """Return ``labels``, ``thumb`` and ``emb`` of a part, in the order of writing.

    Parameters
    ----------
    header : BankHeader
    largest_label : int
        Decides between uint8 and uint16.
    """
    square = (header.low_res_size, header.low_res_size)
    labels = np.dtype(np.uint8 if largest_label <= np.iinfo(np.uint8).max else "<u2")
    if header.quantisation == "int8":
        emb = RowArray("emb", np.dtype(np.int8), header.embedding_shape, _ZSTD_LEVEL)
    else:
        emb = RowArray("emb", np.dtype("<f2"), header.embedding_shape, None)
    arrays = (
        RowArray("labels", labels, square, _PICTURE_ZSTD_LEVEL),
        RowArray("thumb", np.dtype(np.uint8), square, _PICTURE_ZSTD_LEVEL),
        emb,
    )
    return {array.name: array for array in arrays}


def create_arrays(part: Path, header: BankHeader, rows: int, largest_label: int) -> None:
    """Make the empty arrays ``labels``, ``thumb``, ``scale`` (int8 only) and ``emb`` of a part.

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
        if header.quantisation == "int8":
            channels = header.embedding_shape[0]
            group.create_array(
                "scale",
                shape=(rows, channels),
                chunks=(SHARD_ROWS, channels),
                dtype=np.float32,
                compressors=[Crc32cCodec()],
                **_LAYOUT,
            )


def shard_key(name: str, shard: int) -> str:
    """Return where a shard of an array lies, relative to the part."""
    dimensions = {"emb": 4, "labels": 3, "thumb": 3, "scale": 2}[name]
    return f"{name}/c.{shard}" + ".0" * (dimensions - 1)

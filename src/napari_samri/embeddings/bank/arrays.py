"""The zarr arrays of a part: their layout, and shards of them as bytes.

Shards are made by zarr itself, in another folder, and put into place whole: several processes that
write into one zarr array can lose each other's chunks (zarr-python#3682).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.bank.header import BankHeader

    Array = NDArray[Any]

SHARD_ROWS = 64
_ZSTD_LEVEL = 1
# Small against an embedding, and read by nobody in a hurry.
_PICTURE_ZSTD_LEVEL = 9
PICTURES = ("labels", "thumb")
_DIMENSIONS = {"emb": 4, "labels": 3, "thumb": 3, "scale": 2}


def create_arrays(part: Path, header: BankHeader, rows: int, largest_label: int) -> None:
    """Make the empty arrays ``labels``, ``thumb``, ``scale`` and ``emb`` of a part.

    Parameters
    ----------
    part : pathlib.Path
        An empty folder.
    header : BankHeader
    rows : int
    largest_label : int
        Decides between uint8 and uint16.
    """
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    group = zarr.create_group(part)
    side = header.low_res_size
    small = [ZstdCodec(level=_PICTURE_ZSTD_LEVEL), Crc32cCodec()]
    labels = np.uint8 if largest_label <= np.iinfo(np.uint8).max else np.uint16
    for name, dtype in zip(PICTURES, (labels, np.uint8), strict=True):
        _sharded(group, name, (rows, side, side), dtype, small)
    int8 = header.quantisation == "int8"
    codecs = [ZstdCodec(level=_ZSTD_LEVEL), Crc32cCodec()] if int8 else [Crc32cCodec()]
    shape = (rows, *header.embedding_shape)
    _sharded(group, "emb", shape, np.int8 if int8 else np.float16, codecs)
    if int8:
        group.create_array(
            "scale",
            shape=shape[:2],
            chunks=(SHARD_ROWS, shape[1]),
            dtype=np.float32,
            compressors=[Crc32cCodec()],
            fill_value=0,
        )


def _sharded(
    group: Any, name: str, shape: tuple[int, ...], dtype: Any, compressors: list[Any]
) -> None:
    group.create_array(
        name,
        shape=shape,
        chunks=(1, *shape[1:]),
        shards=(SHARD_ROWS, *shape[1:]),
        dtype=dtype,
        compressors=compressors,
        fill_value=0,
    )


def shard_key(name: str, shard: int) -> str:
    """Return where a shard of an array lies, relative to the part."""
    return "/".join((name, "c", str(shard), *("0",) * (_DIMENSIONS[name] - 1)))


def stage_shard(part: Path, name: str, shard: int, values: Array, stage: Path) -> Path | None:
    """Write the shard of an array that holds these rows into another folder.

    Rows of zeros are left out of it, and read back as zeros.

    Parameters
    ----------
    part : pathlib.Path
    name : str
    shard : int
    values : array (up to 64, ...)
    stage : pathlib.Path
        A folder that nobody else writes into.

    Returns
    -------
    pathlib.Path or None
        The file; None if all rows are zeros: zarr writes no shard then.
    """
    import zarr

    copy = stage / name
    copy.mkdir()
    (copy / "zarr.json").write_bytes((part / name / "zarr.json").read_bytes())
    array = zarr.open_array(copy, mode="r+")
    begin = shard * SHARD_ROWS
    array[begin : begin + len(values)] = values
    path = stage / shard_key(name, shard)
    return path if path.is_file() else None

"""Files on their way into a bank: groups of zarr, and bytes that are on the disk for sure."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@contextmanager
def zarr_group(folder: Path, attributes: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Give an empty zarr group in memory, and write it into a folder at the end.

    zarr itself would need hard links for that, which some disks do not have.
    """
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    yield zarr.create_group(MemoryStore(files), attributes=dict(attributes or {}))
    for key, content in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flushed(path, content.to_bytes())


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

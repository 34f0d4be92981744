"""One cache for all models: memory over disk, and nothing computed twice at once."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from napari_samri.embeddings.disk import DiskCache
from napari_samri.embeddings.memory import MemoryCache
from napari_samri.filenames import expand_user
from napari_samri.places import user_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

CACHE_VARIABLE = "NAPARI_SAMRI_CACHE"
MEMORY_BYTES = 1 << 30
DISK_BYTES = 10 << 30


@dataclass
class _Turn:
    """The lock of a key that is being asked for, and how many threads hold or await it."""

    lock: Lock = field(default_factory=Lock)
    threads: int = 0


class EmbeddingCache:
    """Embeddings by key, in memory and, if a folder is given, on disk.

    What was computed by this process comes back as it was; what comes from disk went through
    fp16 (relative error 2e-4).

    Parameters
    ----------
    folder : path, optional
        Without it nothing is written to disk.
    memory_bytes, disk_bytes : int
        Bounds; the least recently used go first.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
    ) -> None:
        self.memory = MemoryCache(memory_bytes)
        self.disk = DiskCache(expand_user(folder), disk_bytes) if folder else None
        self._turns: dict[str, _Turn] = {}
        self._lock = Lock()

    def get(self, key: str) -> FloatArray | None:
        """Return an embedding (C, h, w), read-only, or None."""
        array = self.memory.get(key)
        if array is None and self.disk is not None:
            array = self.disk.get(key)
            if array is not None:
                array.flags.writeable = False
                self.memory.put(key, array)
        return array

    def get_or_compute(self, key: str, compute: Callable[[], FloatArray]) -> FloatArray:
        """Return an embedding (C, h, w), read-only; computed if no cache has it.

        Threads that ask for one key at the same time wait for one computation.
        """
        with self._turn(key):
            array = self.get(key)
            return self._store(key, compute()) if array is None else array

    @contextmanager
    def _turn(self, key: str) -> Iterator[None]:
        """Wait until no other thread works on the key.

        Its lock stays while threads wait for it, so that a thread that comes after one whose
        computation failed does not start a second one beside those that waited.
        """
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.threads += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.threads -= 1
                if not turn.threads:
                    del self._turns[key]

    def _store(self, key: str, array: FloatArray) -> FloatArray:
        array.flags.writeable = False
        self.memory.put(key, array)
        if self.disk is not None:
            self.disk.put(key, array)
        return array


def cache_dir() -> Path:
    """Return the folder of the shared cache; ``NAPARI_SAMRI_CACHE`` overrides the user's."""
    folder = user_folder("cache", CACHE_VARIABLE)
    return folder if os.environ.get(CACHE_VARIABLE) else folder / "embeddings"


_default: dict[Path, EmbeddingCache] = {}


def default_cache() -> EmbeddingCache:
    """Return the cache that all predictors of this process share."""
    return _default.setdefault(cache_dir(), EmbeddingCache(cache_dir()))

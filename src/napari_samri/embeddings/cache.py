"""One cache for all models: memory over disk, and nothing computed twice at once."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from napari_samri.embeddings.bank import KnownBanks
from napari_samri.embeddings.disk import DiskCache
from napari_samri.embeddings.features import frozen
from napari_samri.filenames import expand_user
from napari_samri.places import user_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_samri.embeddings.features import Features

CACHE_VARIABLE = "NAPARI_SAMRI_CACHE"
MEMORY_BYTES = 1 << 30
DISK_BYTES = 10 << 30


class MemoryCache:
    """Features by key in memory, bounded in bytes; any number of threads may use it.

    Parameters
    ----------
    max_bytes : int
        Bound on the arrays' bytes: the least recently used go first, and features larger than
        that are not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, Features] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: str) -> Features | None:
        """Return features and mark them as just used, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, features: Features) -> None:
        """Keep features, dropping others if need be."""
        with self._lock:
            if key in self._kept:
                self._bytes -= _nbytes(self._kept.pop(key))
            if _nbytes(features) > self.max_bytes:
                return
            self._kept[key] = features
            self._bytes += _nbytes(features)
            while self._bytes > self.max_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= _nbytes(dropped)


def _nbytes(features: Features) -> int:
    return sum(array.nbytes for array in features.values())


@dataclass
class _Turn:
    """The lock of a key that is being asked for, and how many threads hold or await it."""

    lock: Lock = field(default_factory=Lock)
    threads: int = 0


class EmbeddingCache:
    """Features by key, in memory and, if a folder is given, on disk.

    What was computed by this process comes back as it was; what comes from disk or a bank went
    through fp16 (relative error 2e-4).

    Parameters
    ----------
    folder : path, optional
        Without it nothing is written to disk.
    memory_bytes, disk_bytes : int
        Bounds; the least recently used go first.
    banks : KnownBanks, optional
        Asked for what is neither in memory nor in the folder.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
        banks: KnownBanks | None = None,
    ) -> None:
        self.memory = MemoryCache(memory_bytes)
        self.disk = DiskCache(expand_user(folder), disk_bytes) if folder else None
        self._banks = banks
        self._turns: dict[str, _Turn] = {}
        self._lock = Lock()

    def get(self, key: str) -> Features | None:
        """Return features, read-only, or None."""
        found = self.memory.get(key)
        if found is not None:
            return found
        for beneath in (self.disk, self._banks):
            if beneath is not None and (found := beneath.get(key)) is not None:
                self.memory.put(key, found)
                return found
        return None

    def put(self, key: str, features: Features) -> None:
        """Keep features in memory and on disk; from now on they are read-only."""
        self.memory.put(key, frozen(features))
        if self.disk is not None:
            self.disk.put(key, features)

    def get_or_compute(self, key: str, compute: Callable[[], Features]) -> Features:
        """Return features, read-only; computed if no cache has them.

        Threads that ask for one key at the same time wait for one computation.
        """
        with self._turn(key):
            found = self.get(key)
            if found is None:
                found = compute()
                self.put(key, found)
            return found

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


def cache_dir() -> Path:
    """Return the folder of the shared cache; ``NAPARI_SAMRI_CACHE`` overrides the user's."""
    folder = user_folder("cache", CACHE_VARIABLE)
    return folder if os.environ.get(CACHE_VARIABLE) else folder / "embeddings"


_default: dict[Path, EmbeddingCache] = {}


def default_cache() -> EmbeddingCache:
    """Return the cache that all predictors of this process share."""
    return _default.setdefault(cache_dir(), user_cache())


def user_cache(memory_bytes: int = MEMORY_BYTES) -> EmbeddingCache:
    """Return a cache of its own over what this user has: the shared folder and all known banks."""
    return EmbeddingCache(cache_dir(), memory_bytes=memory_bytes, banks=KnownBanks())

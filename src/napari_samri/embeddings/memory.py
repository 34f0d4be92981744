"""Embeddings in memory, bounded in bytes, the least recently used out first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


class MemoryCache:
    """A thread-safe mapping from keys to read-only arrays.

    Parameters
    ----------
    max_bytes : int
        Bound on the arrays' bytes; an array larger than that is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._arrays: OrderedDict[str, FloatArray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: str) -> FloatArray | None:
        """Return an array and mark it as just used, or None."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def put(self, key: str, array: FloatArray) -> None:
        """Keep an array, dropping others if need be."""
        with self._lock:
            if key in self._arrays:
                self._bytes -= self._arrays.pop(key).nbytes
            if array.nbytes > self.max_bytes:
                return
            self._arrays[key] = array
            self._bytes += array.nbytes
            while self._bytes > self.max_bytes:
                _, dropped = self._arrays.popitem(last=False)
                self._bytes -= dropped.nbytes

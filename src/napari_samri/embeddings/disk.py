"""Embeddings on disk: one fp16 file per key, written whole or not at all, bounded in bytes.

Files are safetensors whose header holds the key and a checksum: a torn, altered or foreign
file is found when it is read, and counts as missing.
"""

from __future__ import annotations

import logging
import os
import zlib
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.atomic import remove_all_leftovers, replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

logger = logging.getLogger(__name__)

FORMAT = "napari-samri-embedding"
VERSION = "1"
SUFFIX = ".safetensors"
# After an overflow the cache is emptied to this share, so that not every write looks for room.
KEEP_SHARE = 0.9
# safetensors tells of a tensor type that numpy lacks by the last two.
_UNREADABLE = (OSError, TypeError, AttributeError)


class DiskCache:
    """A folder of embeddings that several processes may use at once.

    Parameters
    ----------
    folder : pathlib.Path
        Made on the first write.
    max_bytes : int
        Bound on the files' bytes; the files used longest ago go first.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._found: int | None = None  # bytes in the folder when it was last looked at
        self._written = 0  # bytes written since
        self._lock = Lock()
        self._broken = False

    def path(self, key: str) -> Path:
        """Return where a key's file is, or would be."""
        return self.folder / key[:2] / f"{key}{SUFFIX}"

    def get(self, key: str) -> FloatArray | None:
        """Return an embedding as fp32 and mark it as just used; None if there is no good file."""
        from safetensors import SafetensorError, safe_open

        path = self.path(key)
        try:
            with safe_open(path, framework="np") as file:
                header = file.metadata() or {}
                array = file.get_tensor("embedding")
        except FileNotFoundError:
            return None
        except (SafetensorError, *_UNREADABLE) as error:
            logger.warning("%s: unreadable embedding, computed anew (%s)", path, error)
            return None
        if header != _header(key, array):
            logger.warning("%s: altered or foreign embedding, computed anew", path)
            return None
        with suppress(OSError):
            os.utime(path)
        return np.asarray(array, np.float32)

    def put(self, key: str, array: FloatArray) -> None:
        """Keep an embedding as fp16; where the disk refuses, say so once and go on without.

        One whose values do not fit into fp16, or that alone exceeds the bound, is not kept.
        """
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if not np.isfinite(half).all():
            return
        try:
            self._write(key, half)
        except OSError as error:
            if not self._broken:
                logger.warning("%s: embeddings cannot be kept on disk (%s)", self.folder, error)
            self._broken = True
            return
        self._make_room()

    def _write(self, key: str, half: NDArray[np.float16]) -> None:
        from safetensors.numpy import save

        path = self.path(key)
        content = save({"embedding": half}, metadata=_header(key, half))
        if len(content) > self.max_bytes:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        with self._lock:
            self._written += len(content)

    def _make_room(self) -> None:
        """Look at the folder now and then: other processes write into it too."""
        with self._lock:
            if (
                self._found is None
                or self._found + self._written > self.max_bytes
                or self._written > (1 - KEEP_SHARE) * self.max_bytes
            ):
                self._found, self._written = self._evict(), 0

    def _evict(self) -> int:
        """Delete the files used longest ago while there are too many; return what is left."""
        for folder in self.folder.glob("??"):
            remove_all_leftovers(folder)
        files = []
        for path in self.folder.glob(f"??/[!.]*{SUFFIX}"):  # temporary ones begin with a dot
            with suppress(OSError):  # another process may delete it meanwhile
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        if total <= self.max_bytes:
            return total
        for _, size, path in sorted(files):
            if total <= KEEP_SHARE * self.max_bytes:
                break
            with suppress(OSError):
                path.unlink()
                total -= size
        return total


def _header(key: str, array: NDArray[np.generic]) -> dict[str, str]:
    """Return what a file of this key and array has to say of itself."""
    checksum = zlib.crc32(np.ascontiguousarray(array).data)
    return {
        "format": FORMAT,
        "version": VERSION,
        "key": key,
        "array": f"{array.dtype} {array.shape}",
        "crc32": str(checksum),
    }

"""Features on disk: one fp16 file per key, written whole or not at all, bounded in bytes.

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
from napari_samri.embeddings.features import IMAGE, frozen, suffix_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.embeddings.features import Features

    Halves = Mapping[str, NDArray[np.generic]]

logger = logging.getLogger(__name__)

FORMAT = "napari-samri-embedding"
VERSION = "1"
SUFFIX = ".safetensors"
_TENSOR = "embedding"  # and the feature's suffix
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

    def get(self, key: str) -> Features | None:
        """Return features as fp32 and mark them as just used; None if there is no good file."""
        from safetensors import SafetensorError, safe_open

        path = self.path(key)
        try:
            with safe_open(path, framework="np") as file:
                header = file.metadata() or {}
                tensors = file.keys()
                halves = {_feature(name): file.get_tensor(name) for name in tensors}
        except FileNotFoundError:
            return None
        except (SafetensorError, *_UNREADABLE) as error:
            logger.warning("%s: unreadable embedding, computed anew (%s)", path, error)
            return None
        if not halves or header != _header(key, halves):
            logger.warning("%s: altered or foreign embedding, computed anew", path)
            return None
        with suppress(OSError):
            os.utime(path)
        return frozen({name: np.asarray(half, np.float32) for name, half in halves.items()})

    def put(self, key: str, features: Features) -> None:
        """Keep features as fp16; where the disk refuses, warn once and go on without.

        If values do not fit into fp16, or the file alone exceeds the bound, nothing is kept.
        """
        with np.errstate(over="ignore"):
            # safetensors writes the memory as it lies, so the order has to be C's.
            halves = {name: array.astype(np.float16, order="C") for name, array in features.items()}
        if not all(np.isfinite(half).all() for half in halves.values()):
            return
        try:
            self._write(key, halves)
        except OSError as error:
            if not self._broken:
                logger.warning("%s: embeddings cannot be kept on disk (%s)", self.folder, error)
            self._broken = True
            return
        self._make_room()

    def drop(self, key: str) -> None:
        """Delete the file of a key, if there is one."""
        self.path(key).unlink(missing_ok=True)

    def _write(self, key: str, halves: Mapping[str, NDArray[np.float16]]) -> None:
        from safetensors.numpy import save

        path = self.path(key)
        tensors = {f"{_TENSOR}{suffix_of(name)}": half for name, half in halves.items()}
        content = save(tensors, metadata=_header(key, halves))
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


def _feature(tensor: str) -> str:
    """Return the feature that a tensor of a file is."""
    return tensor.removeprefix(f"{_TENSOR}.") if tensor != _TENSOR else IMAGE


def _header(key: str, halves: Halves) -> dict[str, str]:
    """Return what the header of a file with this key and these arrays has to hold."""
    header = {"format": FORMAT, "version": VERSION, "key": key}
    for name, array in halves.items():
        checksum = zlib.crc32(np.ascontiguousarray(array).data)
        header[f"array{suffix_of(name)}"] = f"{array.dtype} {array.shape}"
        header[f"crc32{suffix_of(name)}"] = str(checksum)
    return header

"""The banks that this user has made, asked for features by content key, the latest bank first.

Each has a small file in the user's folder of state, with the way to the bank. The file's time tells
how recent the bank is. A bank that moved or went away is passed over.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.atomic import make_folder, replacing
from napari_samri.codec import read_bytes
from napari_samri.embeddings.bank.header import read_header
from napari_samri.embeddings.bank.part import sealed_folders
from napari_samri.embeddings.bank.reading import PartFiles
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.embeddings.features import Features

logger = logging.getLogger(__name__)

MOST_BANKS = 32
_SUFFIX = ".bank"
_LIMIT_BYTES = 1 << 16


def remember_bank(bank: Path) -> None:
    """Let this user's predictors find a bank's features; one that is known becomes the latest.

    Where the folder of state is read-only, nothing is remembered.
    """
    content = os.fsencode(bank.resolve())
    note = _folder() / f"{hashlib.sha256(content).hexdigest()[:32]}{_SUFFIX}"
    with suppress(StoreError, OSError):
        make_folder(note.parent)
        with replacing(note) as temporary:
            temporary.write_bytes(content)
        for _, old in _notes()[MOST_BANKS:]:
            old.unlink()


@dataclass(frozen=True, eq=False)
class _Opened:
    """A bank as it was when its note was written; `files` are None if it cannot be used."""

    time: int
    files: PartFiles | None


class KnownBanks:
    """All banks that are remembered; which ones is looked up at each `get`.

    A bank's keys are read once, when it is first asked, so that a miss costs a look at one
    folder. Any number of threads may ask.
    """

    def __init__(self) -> None:
        self._opened: dict[Path, _Opened] = {}

    def get(self, key: str) -> Features | None:
        """Return the features of a content key as float32, read-only; None if no bank has it."""
        for files in self._banks():
            try:
                place = files.find(key)
                if place is not None:
                    return files.features(*place)
            except StoreError as error:
                logger.debug("passed over: %s", error)
        return None

    def _banks(self) -> Iterator[PartFiles]:
        for time, note in _notes():
            opened = self._opened.get(note)
            if opened is None or opened.time != time:
                opened = self._opened[note] = _Opened(time, _open(note))
            if opened.files is not None:
                yield opened.files


def _folder() -> Path:
    return state_dir() / "banks"


def _notes() -> list[tuple[int, Path]]:
    """Return time and path of the notes, the latest first."""
    with suppress(OSError), os.scandir(_folder()) as entries:
        found = [
            (entry.stat().st_mtime_ns, Path(entry.path))
            for entry in entries
            if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".")
        ]
        return sorted(found, reverse=True)
    return []


def _open(note: Path) -> PartFiles | None:
    try:
        bank = Path(os.fsdecode(read_bytes(note, _LIMIT_BYTES)))
        header = read_header(bank)
        return PartFiles(header, sealed_folders(bank)) if header.keyed else None
    except (InputError, StoreError, OSError, ValueError) as error:
        logger.debug("passed over: %s", error)
        return None

"""What the files of a sealed part were when it was sealed, so that none can change without a word.

Of a shard, the digest is of its index and of the checksums behind its chunks: with each chunk's
own CRC-32C that covers every byte, and a shard in another's place is found, whose chunks are whole.
Of all other files it is of their bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_samri.codec import (
    Reader,
    integer,
    list_of,
    map_of,
    parse_json,
    read_bytes,
    read_json,
    record,
    text,
)
from napari_samri.embeddings.bank.arrays import SHARD_ROWS, shard_key
from napari_samri.embeddings.bank.files import CHECKSUM_BYTES, present, read_index
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_samri.embeddings.bank.plan import PartPlan

    Digests = dict[str, str]

DIGESTS = "digests.json"
TABLES = ("rows", "pairs")
HINT = (
    "Verify the bank and drop what is damaged, then embed the data set again "
    "(napari-samri bank verify)."
)
_LIMIT_BYTES = 1 << 30
_ENDING = re.compile(rb',"sha256":"([0-9a-f]{64})"}\n')
_ENDING_BYTES = len(',"sha256":""}\n') + 64
_HASH = text(64, "[0-9a-f]{64}")


@dataclass(frozen=True)
class Mark:
    """What the mark of a sealed part says.

    Parameters
    ----------
    missing : tuple of int
        Rows that the part lacks.
    rows : int or None
        How many there are in all.
    digests : str or None
        SHA-256 of the file of digests; None for a part that was sealed by an earlier version.
    sha256 : str or None
        Of the mark itself.
    """

    missing: tuple[int, ...]
    rows: int | None = None
    digests: str | None = None
    sha256: str | None = None


_MARK = record(
    Mark,
    {"missing": list_of(integer(0))},
    {"rows": integer(0), "digests": _HASH, "sha256": _HASH},
    unknown="refuse",
)
_FILES: Reader[dict[str, Any]] = record(
    dict,
    {"files": map_of(_HASH), "sha256": _HASH},
    marks={"version": 1},
    unknown="refuse",
)


def digested(values: Mapping[str, Any]) -> bytes:
    """Return an object as JSON, with the SHA-256 of what stands before as its last entry."""
    body = json.dumps(values, separators=(",", ":")).encode()
    return body[:-1] + f',"sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode()


def digests_text(files: Digests) -> bytes:
    """Return the content of the file of digests."""
    return digested({"version": 1, "files": dict(sorted(files.items()))})


def read_mark(path: Path, plan: PartPlan) -> Mark:
    """Read the mark of a sealed part.

    Raises
    ------
    InputError
        If it is missing, damaged, or of another plan.
    """
    mark = read_json(path, _MARK, _LIMIT_BYTES, hint=HINT)
    if (mark.digests is None) != (mark.sha256 is None):
        message = f"{path}: damaged: it has one digest of two. {HINT}"
        raise InputError(message)
    if mark.sha256 is not None:
        _check_own(path, read_bytes(path, _LIMIT_BYTES))
    if mark.rows not in (None, plan.rows) or any(row >= plan.rows for row in mark.missing):
        message = f"{path}: damaged: of other rows than the {plan.rows:,} of its plan. {HINT}"
        raise InputError(message)
    return mark


def read_digests(folder: Path, mark: Mark | None) -> Digests:
    """Return the digests of a part's files by name; of a part of before there are none.

    Raises
    ------
    InputError
        If they are missing or damaged.
    """
    path = folder / DIGESTS
    if (mark is None and not path.exists()) or (mark is not None and mark.digests is None):
        return {}
    content = read_bytes(path, _LIMIT_BYTES)
    _check_own(path, content)
    if mark is not None and hashlib.sha256(content).hexdigest() != mark.digests:
        message = f"{path}: not the file of digests that the part was sealed with. {HINT}"
        raise InputError(message)
    found: Digests = parse_json(content, _FILES, str(path), _LIMIT_BYTES, hint=HINT)["files"]
    return found


def _check_own(path: Path, content: bytes) -> None:
    """Compare a document with the digest at its end."""
    ending = _ENDING.fullmatch(content[-_ENDING_BYTES:])
    body = content[:-_ENDING_BYTES] + b"}"
    if ending is None or hashlib.sha256(body).hexdigest().encode() != ending[1]:
        message = f"{path}: damaged: its digest (sha256) is not the one that was written. {HINT}"
        raise InputError(message)


def shard_digests(folder: Path, plan: PartPlan, shard: int) -> Digests:
    """Return the digests of a shard's files, as they are now; missing and torn ones have none."""
    found = {}
    for name in (*plan.arrays, *plan.columns):
        key = shard_key(name, shard)
        digest = (_chunks_digest if name in plan.arrays else _file_digest)(folder / key)
        if digest is not None:
            found[key] = digest
    return found


def file_digests(folder: Path, plan: PartPlan) -> Digests:
    """Return the digests of a part's tables and descriptions, as they are now."""
    found = {}
    for path in sorted(_described(folder, plan)):
        digest = _file_digest(path)
        if digest is not None:
            found[path.relative_to(folder).as_posix()] = digest
    return found


def _described(folder: Path, plan: PartPlan) -> Iterator[Path]:
    yield folder / "plan.json"
    yield folder / "zarr.json"
    for name in (*plan.arrays, *plan.columns):
        yield folder / name / "zarr.json"
    for table in TABLES:
        yield from (path for path in (folder / table).rglob("*") if path.is_file())


def _file_digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _chunks_digest(path: Path) -> str | None:
    """Return the SHA-256 of a shard's index (rows, 2) and the checksums of its chunks."""
    index = read_index(path, SHARD_ROWS)
    if index is None:
        return None
    digest = hashlib.sha256(index.tobytes())
    with path.open("rb") as file:
        for offset, length in index[present(index)].tolist():
            file.seek(offset + length - CHECKSUM_BYTES)
            digest.update(file.read(CHECKSUM_BYTES))
    return digest.hexdigest()

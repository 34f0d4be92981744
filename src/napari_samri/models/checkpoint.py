"""Checkpoints read safely: tensors in, never code.

This is the one place in the package that opens pickled files. `torch.load` with
``weights_only=True`` rebuilds nothing but tensors and plain containers. What a file is, is told
by its first bytes: names of checkpoints say little.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from napari_samri.errors import ModelError
from napari_samri.models.containers import WRAPPERS, tensors_of
from napari_samri.models.files import check_digest, check_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WRAPPERS", "Checkpoint", "read_checkpoint"]

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_LENGTH_BYTES = 8
# What else people give for a checkpoint, by its first bytes.
_FOREIGN = (
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"7z\xbc\xaf", "an archive of 7-Zip: unpack it first"),
    (b"<", "a page for a browser: the download was probably one to be signed in for"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file that it stands for"),
    (b"\x89HDF", "a file of Keras or HDF5, which is no PyTorch checkpoint"),
)
# torch.save packs nothing, so whatever unpacks to much more than the file was made to do so.
_MOST_GROWTH = 3
_SLACK_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20
# What torch.load raises on files that were cut off or altered, found by doing that to them.
_TORN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_ASKED_FOR = re.compile(r"GLOBAL (\S+)|unrecognized function (.+)|but got (<class .+>)")


class _Inert:
    """Stands for a number or an array of NumPy in a training file: nothing is made of it."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_NUMPY = (
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")  # before NumPy 2, and since
        for name in ("scalar", "_reconstruct")
    ),
    "numpy.dtype",
    "numpy.ndarray",
)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by name.

    Parameters
    ----------
    path : Path
    tensors : dict of str to tensor
        Under SAM's names, without what was wrapped around them.
    header : dict of str to str
        Text entries (safetensors only).
    entries : frozenset of str
        What the file holds at its top: a training program's own entries tell it.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    header: dict[str, str] = field(default_factory=dict)
    entries: frozenset[str] = frozenset()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of PyTorch or a safetensors file, whatever its name, onto the CPU.

    What training programs wrap around tensors is taken off: `napari_samri.models.containers`.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder, a pipe or a device.
    ModelError
        If it is no checkpoint, is not what its checksums say, would take far more memory than
        the file is large, holds no dense tensors, or would run code.
    """
    check_file(path, "a checkpoint")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            begin = file.read(32)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise ModelError(message) from error
    if _is_safetensors(begin, size):
        return _read_safetensors(path)
    if begin.startswith(_ZIP):
        _check_archive(path, size)
    elif not begin.startswith(_PICKLE):
        raise ModelError(_foreign(path, begin, size))
    loaded = _load_pickled(path)
    entries = map(str, loaded) if isinstance(loaded, Mapping) else ()
    return Checkpoint(path, tensors_of(loaded, path), entries=frozenset(entries))


def _is_safetensors(begin: bytes, size: int) -> bool:
    """Tell whether a file begins with the length of a header, and the header's brace."""
    length = int.from_bytes(begin[:_LENGTH_BYTES], "little")
    return begin[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{" and length <= size - _LENGTH_BYTES


def _foreign(path: Path, begin: bytes, size: int) -> str:
    lower = begin.lstrip().lower()
    kinds = (what for start, what in _FOREIGN if lower.startswith(start.lower()))
    what = "empty" if size == 0 else next(kinds, f"no such file (it begins with {begin[:8]!r})")
    return (
        f"{path}: expected a checkpoint of PyTorch or a safetensors file; it is {what}. It may be "
        "incomplete or another file: compare its size and digest with the publisher's."
    )


def _check_archive(path: Path, size: int) -> None:
    """Compare what an archive unpacks to with its own size, before anything is unpacked.

    Raises
    ------
    ModelError
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, *_TORN) as error:
        raise ModelError(_torn(path, error)) from error
    unpacked = sum(member.file_size for member in members)
    if unpacked > _MOST_GROWTH * size + _SLACK_BYTES:
        message = (
            f"{path}: refused, because its {size:,} bytes would unpack to {unpacked:,}; expected "
            "a checkpoint, which is about as large as what it holds."
        )
        raise ModelError(message)
    if any("/code/" in member.filename for member in members):
        message = (
            f"{path}: a program (TorchScript), which would run code. Expected a file of tensors: "
            "save the state_dict of the model that it was made from."
        )
        raise ModelError(message)
    _check_sums(path, members)


def _check_sums(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Compare what is in an archive with its checksums, which torch leaves out.

    Raises
    ------
    ModelError
    """
    with zipfile.ZipFile(path) as archive:
        for member in members:
            if not member.CRC:  # torch can be told to write none
                continue
            try:
                with archive.open(member) as file:
                    while file.read(_PIECE_BYTES):
                        pass
            except (zipfile.BadZipFile, NotImplementedError, *_TORN) as error:
                raise ModelError(_torn(path, error)) from error


def _load_pickled(path: Path) -> object:
    stand_ins: list[Any] = [(_Inert, name) for name in _NUMPY]
    try:
        # By an open file: by name, torch would look at the suffix, and refuses some names.
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            torch.serialization.safe_globals(stand_ins),
        ):
            # torch warns of files of newer pickle protocols, which it reads all the same.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if (asked := _ASKED_FOR.search(str(error))) is None:
            raise ModelError(_torn(path, error)) from error
        what = next(filter(None, asked.groups())).rstrip(".")
        message = (
            f"{path}: refused, because reading it would run code that it asks for ({what}). "
            "Expected a file of tensors; ask its publisher for a state_dict or a .safetensors file."
        )
        raise ModelError(message) from error
    except _TORN as error:
        raise ModelError(_torn(path, error)) from error


def _torn(path: Path, error: BaseException) -> str:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return (
        f"{path}: not a readable PyTorch checkpoint ({reason}). "
        "It may be incomplete: compare its size and digest with the publisher's."
    )


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    check_digest(path)
    try:
        # The library refuses a header whose tensors are not exactly the rest of the file.
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = dict(file.metadata() or {})
    except (SafetensorError, *_TORN) as error:
        message = f"{path}: not a readable safetensors file ({error}); it may be incomplete."
        raise ModelError(message) from error
    return Checkpoint(path, tensors_of(tensors, path), header, frozenset(tensors))

"""Checkpoints read safely: tensors in, never code.

This is the one place in the package that opens pickled files. `torch.load` with
``weights_only=True`` rebuilds nothing but tensors and plain containers.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from napari_samri.errors import InputError, ModelError
from napari_samri.filenames import has_suffix

if TYPE_CHECKING:
    from pathlib import Path

WRAPPERS = ("model", "state_dict", "model_state")
PREFIXES = ("module.", "sam.")
_SAFETENSORS_SUFFIX = ".safetensors"
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


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by name, and its header's text entries (safetensors only)."""

    path: Path
    tensors: dict[str, torch.Tensor]
    header: dict[str, str] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.pth``, ``.pt`` or ``.safetensors`` file onto the CPU.

    The wrappers ``model``, ``state_dict`` and ``model_state`` are opened, and the prefixes
    ``module.`` and ``sam.`` are cut off.

    Raises
    ------
    InputError
        If there is no such file.
    ModelError
        If it is no checkpoint, holds anything but dense tensors, or would run code.
    """
    if not path.is_file():
        message = f"{path}: there is no such file; expected a checkpoint."
        raise InputError(message)
    if has_suffix(path, [_SAFETENSORS_SUFFIX]):
        return _read_safetensors(path)
    tensors = _strip(_unwrap(_load_pickled(path), path))
    _check_tensors(tensors, path)
    return Checkpoint(path, tensors)


def _load_pickled(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            # torch warns of files of newer pickle protocols, which it reads all the same.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = (
            f"{path}: refused, because reading it would run code that it brings along, or "
            "because it is not a PyTorch checkpoint at all. Expected a file of tensors; ask "
            "its publisher for a state_dict or a .safetensors file."
        )
        raise ModelError(message) from error
    except _TORN as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        message = (
            f"{path}: not a readable PyTorch checkpoint ({reason}). "
            "It may be incomplete: compare its size and digest with the publisher's."
        )
        raise ModelError(message) from error


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        message = f"{path}: not a readable safetensors file ({error}); it may be incomplete."
        raise ModelError(message) from error
    tensors = _strip(tensors)
    _check_tensors(tensors, path)
    return Checkpoint(path, tensors, header)


def _unwrap(loaded: object, path: Path) -> dict[str, object]:
    if isinstance(loaded, Mapping):
        for name in WRAPPERS:
            if isinstance(inner := loaded.get(name), Mapping):
                return {str(key): value for key, value in inner.items()}
        return {str(key): value for key, value in loaded.items()}
    message = f"{path}: holds a {type(loaded).__name__}; expected named tensors."
    raise ModelError(message)


def _strip(tensors: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """Cut off each prefix that all names share, one after the other."""
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return dict(tensors)  # type: ignore[arg-type]  # checked next, by _check_tensors


def _check_tensors(tensors: Mapping[str, object], path: Path) -> None:
    if not tensors:
        message = f"{path}: holds no tensors; expected the weights of a model."
        raise ModelError(message)
    for name, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            message = f"{path}: '{name}' is a {type(value).__name__}; expected tensors only."
            raise ModelError(message)
        if not _is_dense_real(value):
            message = f"{path}: the tensor '{name}' is not a dense real one; refused."
            raise ModelError(message)


def _is_dense_real(value: torch.Tensor) -> bool:
    """Tell whether a tensor is made of plain numbers; torch.load allows other kinds."""
    odd = value.is_quantized or value.is_complex() or value.is_nested or value.is_meta
    return value.layout == torch.strided and not odd

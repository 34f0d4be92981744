"""The device to run on, and products of fp32 matrices by the quicker of PyTorch's two libraries.

MKL, which PyTorch asks first on a CPU, uses an older instruction set on AMD's processors; oneDNN,
which it otherwise keeps for convolutions, does not, and is two to three times as fast there.
PyTorch asks oneDNN if products may be rounded to bfloat16. On processors without units for
that, which is tried out here, nothing is rounded.

References
----------
PyTorch, MKLDNN backend, https://docs.pytorch.org/docs/stable/notes/mkldnn.html
"""

from __future__ import annotations

import os
import platform
import sys
import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch

from napari_samri.errors import InputError, InputWarning

if TYPE_CHECKING:
    from collections.abc import Iterator


def resolve_device(name: str = "auto") -> torch.device:
    """Return a usable device for ``auto``, ``cuda``, ``cuda:1``, ``mps`` or ``cpu``.

    ``auto`` takes cuda, then mps, then cpu. A device that is not there is replaced by what
    ``auto`` finds, with a warning that says so.

    Raises
    ------
    InputError
        If the name is none that PyTorch knows.
    """
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
    except RuntimeError as error:
        message = f"'{name}' is not a device; expected auto, cuda, cuda:0, mps or cpu."
        raise InputError(message) from error
    if _is_there(device):
        return device
    fallback = torch.device(_best())
    message = f"the device '{name}' is not available here; running on '{fallback}' instead."
    warnings.warn(message, InputWarning, stacklevel=2)
    return fallback


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _is_there(device: torch.device) -> bool:
    match device.type:
        case "cpu":
            return True
        case "cuda":
            return (device.index or 0) < torch.cuda.device_count()
        case "mps":
            return torch.backends.mps.is_available()
    return False


# fp32 is good to 1e-7 per operation, bfloat16 to 4e-3.
_MOST_ERROR = 1e-5
_ASK = "bf16"
_lock = Lock()
_inside = 0
_before = "none"


@contextmanager
def fast_products() -> Iterator[None]:
    """Have fp32 products on the CPU made by oneDNN meanwhile, if it is quicker and as exact.

    The setting is the process's; it goes back once the last thread has left. Results differ from
    MKL's by rounding, as those of one processor from those of another.
    """
    if not _worth_it():
        yield
        return
    _enter(1)
    try:
        yield
    finally:
        _enter(-1)


def _enter(step: int) -> None:
    global _inside, _before  # as the setting that they count for and keep
    with _lock:
        if not _inside:
            _before = _matmul().fp32_precision
        _inside += step
        _matmul().fp32_precision = _ASK if _inside else _before


def _matmul() -> Any:
    return torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # has no stubs


@cache
def _worth_it() -> bool:
    """Tell whether oneDNN is quicker here, by the processor's maker, and rounds no more than MKL.

    Not by a stopwatch: a run that is gone on with has to make the same products again.
    """
    if "AuthenticAMD" not in _processor() or not torch.backends.mkldnn.is_available():
        return False
    matrix = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    exact = matrix.double() @ matrix.double()
    with _lock:
        before, _matmul().fp32_precision = _matmul().fp32_precision, _ASK
        try:
            found = matrix @ matrix
        finally:
            _matmul().fp32_precision = before
    return bool((found - exact).norm() < _MOST_ERROR * exact.norm())


def _processor() -> str:
    if sys.platform.startswith("linux"):
        try:
            return Path("/proc/cpuinfo").read_text(encoding="utf-8")
        except OSError:
            return ""
    return platform.processor()


def bound_threads(most: int | None = None) -> None:
    """Have products that this thread asks for use no more threads than there are cores for it.

    Nor more than they would have used, by ``OMP_NUM_THREADS`` say, nor more than `most`. Threads
    without a core each are waited for at the end of every product. What other threads of the
    process ask for stays as it is.
    """
    now = torch.get_num_threads()
    bound = min(now, _cores(), most or now)
    if bound < now:
        torch.set_num_threads(bound)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

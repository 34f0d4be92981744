"""The device to run on: the best there is, or the one asked for if it is there."""

from __future__ import annotations

import warnings

import torch

from napari_samri.errors import InputError, InputWarning


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

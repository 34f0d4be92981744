"""Fine-tuning of the mask decoder on cached embeddings.

Names are loaded when they are first used: a window that only asks for a run needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_samri.training.config import TrainConfig, small_data
    from napari_samri.training.loop import fit
    from napari_samri.training.objective import OBJECTIVES, Objective, find_objective

_HOMES = {
    "OBJECTIVES": "objective",
    "Objective": "objective",
    "TrainConfig": "config",
    "find_objective": "objective",
    "fit": "loop",
    "small_data": "config",
}

__all__ = ["OBJECTIVES", "Objective", "TrainConfig", "find_objective", "fit", "small_data"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

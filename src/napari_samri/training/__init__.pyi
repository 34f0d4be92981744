from .config import TrainConfig, small_data, turned_bank
from .cost import Counts, Estimate, estimate
from .curves import LOSS, draw_curves, read_curves
from .loop import fit
from .objective import find_objective
from .pairs import is_held_out, split_pairs
from .preview import PREVIEW, ValidationSlices, read_preview
from .state import FILE

__all__ = [
    "FILE",
    "LOSS",
    "PREVIEW",
    "Counts",
    "Estimate",
    "TrainConfig",
    "ValidationSlices",
    "draw_curves",
    "estimate",
    "find_objective",
    "fit",
    "is_held_out",
    "read_curves",
    "read_preview",
    "small_data",
    "split_pairs",
    "turned_bank",
]

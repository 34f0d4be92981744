"""Fine-tuning of the mask decoder on cached embeddings."""

from napari_samri.training.config import TrainConfig, small_data
from napari_samri.training.fit import fit
from napari_samri.training.objective import OBJECTIVES, Objective, find_objective

__all__ = ["OBJECTIVES", "Objective", "TrainConfig", "find_objective", "fit", "small_data"]

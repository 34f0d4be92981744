"""What a predictor answers: masks of one slice, with scores and logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Candidates:
    """The masks that a prompt may mean: one, or three from which to choose.

    Parameters
    ----------
    masks : bool array (M, H, W)
        In pixels of the slice; M is 1 or 3.
    scores : float32 array (M,)
        The IoU with the truth that the network predicts of each mask. Stale for models
        whose training left that head behind: see `ModelSpec.score_is_stale`.
    logits : float32 array (M, L, L)
        Low-resolution logits in the model's frame: give one back as `mask_logits` to refine it.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def best(self) -> int:
        """Index of the candidate with the highest score."""
        return int(self.scores.argmax())

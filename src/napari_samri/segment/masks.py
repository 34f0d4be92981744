"""What a predictor answers, and how a mask is tidied up after the network, if the user wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]


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


@dataclass(frozen=True, kw_only=True)
class PostProcessing:
    """What to do to a mask, in this order; by default nothing.

    Parameters
    ----------
    largest_component : bool
        Keep the largest of the parts that touch (8 neighbours).
    fill_holes : bool
        Fill what the mask encloses (4 neighbours).
    """

    largest_component: bool = False
    fill_holes: bool = False

    def __call__(self, mask: BoolArray) -> BoolArray:
        """Return the tidied mask (H, W); an empty mask stays empty."""
        if self.largest_component:
            mask = largest_component(mask)
        if self.fill_holes:
            mask = np.asarray(ndimage.binary_fill_holes(mask), bool)
        return mask


NO_POST_PROCESSING = PostProcessing()


def largest_component(mask: BoolArray) -> BoolArray:
    """Return the largest 8-connected part of a mask (H, W); an empty mask stays empty."""
    parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    return np.asarray(parts == areas.argmax(), bool)

"""Training objectives: each method is one frozen set of numbers for one and the same step.

References
----------
SAMRI, box and box + point, 20 x focal + dice; its published code has MONAI's smoothing of dice.
Ma et al., Segment anything in medical images, 2024, https://doi.org/10.1038/s41467-024-44824-z:
dice + cross-entropy on boxes whose sides were moved outwards, by Adam.
MedicoSAM, https://doi.org/10.48550/arXiv.2501.11734, Algorithm 1: prompts that correct the last
answer, and the predicted IoU trained; boxes distorted as in micro-sam.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from napari_samri.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Objective:
    """How a mask is prompted for and how the answer is scored.

    Lengths are in pixels of the decoder's low-resolution frame (256 for SAM).

    Parameters
    ----------
    name : str
    p_box : float
        Probability that the first prompt is a box; else it is one point of the mask.
    with_point : bool
        Whether a box comes with a point of the mask.
    jitter : float
        Each side of a box is moved by up to so many pixels, in or out, evenly.
    jitter_from : float
        Boxes that are no longer than this along an axis are left as they are along it: of
        smaller ones the moved box may miss the object.
    outwards : bool
        Whether sides are only moved outwards, by whole pixels.
    distortion : float
        Instead, each side is moved outwards by up to this share of the box's extent.
    central_point : bool
        Points at 45 to 55 % of the mask's pixels in raster order, instead of anywhere.
    n_steps : int
        Rounds of correction after the first answer: a point where it misses the mask, and one
        where it spills.
    p_mask : float
        Probability that a correction also gets the last answer as a mask prompt.
    focal, dice, entropy, quality : float
        Weights of focal loss (gamma 2, no class weight), dice with squared terms in its
        denominator, cross-entropy, and squared error of the predicted IoU.
    smooth : float
        Added to numerator and denominator of dice.
    least_pixels : int
        Masks of fewer pixels of the slice are left out.

    Raises
    ------
    InputError
        If a probability lies outside 0 to 1, or a number makes no sense.
    """

    name: str
    p_box: float = 1.0
    with_point: bool = False
    jitter: float = 0.0
    jitter_from: float = 0.0
    outwards: bool = False
    distortion: float = 0.0
    central_point: bool = False
    n_steps: int = 0
    p_mask: float = 0.0
    focal: float = 0.0
    dice: float = 1.0
    entropy: float = 0.0
    quality: float = 0.0
    smooth: float = 1e-5
    least_pixels: int = 0

    def __post_init__(self) -> None:
        shares = (self.p_box, self.p_mask)
        lengths = (self.jitter, self.jitter_from, self.distortion, self.n_steps, self.least_pixels)
        weights = (self.focal, self.dice, self.entropy, self.quality, self.smooth)
        if not all(0 <= share <= 1 for share in shares) or min(*lengths, *weights) < 0:
            message = (
                f"the objective {asdict(self)} makes no sense; expected probabilities of 0 to 1, "
                "and nothing below 0."
            )
            raise InputError(message)

    @property
    def trains_quality(self) -> bool:
        """Whether the predicted IoU, and the three candidates, are trained."""
        return self.quality > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the objective as JSON values."""
        return asdict(self)


# 20 pixels of SAM's input of 1024, where the box is longer than 20 of 256: SAMRI's paper moves
# all boxes, and one of four pixels then misses its object in a quarter of the cases.
SAMRI_BOX = Objective(name="samri-box", jitter=5, jitter_from=20, focal=20)
SAMRI_BP = replace(SAMRI_BOX, name="samri-bp", with_point=True)
MEDSAM = Objective(name="medsam", jitter=20, outwards=True, entropy=1, least_pixels=100)
SIMPLE = Objective(name="simple", p_box=0.5, distortion=0.025, quality=1, smooth=1e-7)
MEDICOSAM = replace(SIMPLE, name="medicosam", n_steps=8, p_mask=0.5)

OBJECTIVES = {item.name: item for item in (SAMRI_BOX, SAMRI_BP, MEDSAM, SIMPLE, MEDICOSAM)}


def find_objective(name: str, *, code_compat: bool = False) -> Objective:
    """Return an objective by name.

    Parameters
    ----------
    name : str
        One of `OBJECTIVES`.
    code_compat : bool
        As SAMRI's published code has it, not its paper: 10 x focal, boxes jittered by up to 10
        low-resolution pixels, points at the middle of the mask.

    Raises
    ------
    InputError
        If there is no such objective, or it has no published code of its own.
    """
    if name not in OBJECTIVES:
        message = f"there is no objective {name!r}; expected one of {', '.join(OBJECTIVES)}."
        raise InputError(message)
    objective = OBJECTIVES[name]
    if not code_compat:
        return objective
    if not name.startswith("samri"):
        message = (
            "only samri-box and samri-bp have a form of the published code beside that of the "
            f"paper; {name!r} has one form only."
        )
        raise InputError(message)
    return replace(objective, focal=10, jitter=10, central_point=True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a method was trained, beside its objective.

    Parameters
    ----------
    optimiser : str
        ``adamw`` or ``adam``, with betas (0.9, 0.999).
    learning_rate : float
    weight_decay : float
        Of matrices; biases, norms and tokens do not decay.
    rate_decay : float
        The learning rate is multiplied by this after each epoch.
    masks_per_slice : int
        At most so many masks of a slice are learned together.
    """

    optimiser: str = "adamw"
    learning_rate: float = 1e-5
    weight_decay: float = 0.1
    rate_decay: float = 1.0
    masks_per_slice: int = 4


_MEDICOSAM = Recipe(weight_decay=0.01, rate_decay=0.9, masks_per_slice=5)
_RECIPES = {
    "medsam": Recipe(optimiser="adam", weight_decay=0.0),
    "simple": _MEDICOSAM,
    "medicosam": _MEDICOSAM,
}
OPTIMISERS = ("adamw", "adam")


def recipe_of(objective: Objective) -> Recipe:
    """Return how the method with this objective was trained as published: SAMRI's by default."""
    return _RECIPES.get(objective.name, Recipe())

"""Training objectives: each method is one frozen set of numbers for one and the same step.

References
----------
SAMRI, box and box + point, 20 x focal + dice.
Ma et al., Segment anything in medical images, 2024, https://doi.org/10.1038/s41467-024-44824-z
MedicoSAM, Algorithm 1: prompts that correct the last answer, and the predicted IoU trained.
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
        Boxes that are no longer than this along an axis are left as they are along it.
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
    central_point: bool = False
    n_steps: int = 0
    p_mask: float = 0.0
    focal: float = 0.0
    dice: float = 1.0
    entropy: float = 0.0
    quality: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.p_box, self.p_mask)
        rest = (self.jitter, self.jitter_from, self.n_steps, self.focal, self.dice, self.entropy)
        if not all(0 <= share <= 1 for share in shares) or min(*rest, self.quality) < 0:
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


# 20 pixels of SAM's input of 1024.
_PAPER_JITTER = 5.0
SAMRI_BOX = Objective(name="samri-box", jitter=_PAPER_JITTER, focal=20)
SAMRI_BP = replace(SAMRI_BOX, name="samri-bp", with_point=True)
MEDSAM = Objective(name="medsam", jitter=_PAPER_JITTER, entropy=1)
SIMPLE = Objective(name="simple", p_box=0.5, quality=1)
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
        low-resolution pixels where they are longer than 20, points at the middle of the mask.

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
        message = f"--code-compat is for samri-box and samri-bp; {name!r} has one form only."
        raise InputError(message)
    return replace(objective, focal=10, jitter=10, jitter_from=20, central_point=True)

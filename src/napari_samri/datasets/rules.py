"""What makes a slice worth training on, and how patients are split.

References
----------
SAMRI leaves out masks of fewer than 10 labelled pixels or less than 10 % of the same label's
largest slice, cuts volumes across the axis with the fewest samples, and splits patients 80:10:10.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from napari_samri.datasets.spelling import folded
from napari_samri.errors import InputError
from napari_samri.options import option

Split = Literal["train", "validation", "test", "zero-shot"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Rules:
    """Thresholds and seed.

    Parameters
    ----------
    min_pixels : int
        A label with fewer pixels on a slice is left out there.
    min_share : float
        So is one with less than this share of its area on the slice of the study where it is
        largest.
    axis : int or None
        Display axis to cut across; None: the one with the fewest samples.
    train, validation, test : float
        Shares of the patients; they are scaled to a sum of one.
    seed : int
        Another seed, another split.
    own_patients : bool
        Patients of one name in two data sets are different people.

    Raises
    ------
    InputError
        If a threshold makes no sense.
    """

    min_pixels: int = option(
        10,
        label="Smallest label",
        low=1,
        tip="A label with fewer pixels on a slice is left out there",
        help="smallest label on a slice",
    )
    min_share: float = option(
        0.1,
        label="Smallest share",
        tip="So is one with less than this share of its area on the slice where it is largest",
        help="... as a share of its largest slice",
    )
    axis: int | None = option(
        None,
        label="Cut across",
        choices=(("the fewest samples", None), ("slices", 0), ("rows", 1), ("columns", 2)),
        tip="Which axis of a volume is cut across; as a rule the one with the fewest samples",
        help="cut across slices, rows or columns",
    )
    train: float = 80
    validation: float = 10
    test: float = 10
    seed: int = option(
        0,
        label="Seed",
        low=0,
        tip="Another seed, another split",
    )
    own_patients: bool = option(
        False, help="patients of one name in two data sets are different people", form=False
    )

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if self.min_pixels < 1 or not 0 <= self.min_share <= 1:
            message = (
                f"the smallest area is {self.min_pixels} pixels and {self.min_share} of the "
                "largest; expected at least 1, and 0 to 1."
            )
            raise InputError(message)
        if not _are_shares(shares) or self.axis not in {None, 0, 1, 2}:
            message = (
                f"the split is {shares} and the axis {self.axis}; expected three shares with a "
                "sum above 0, and an axis of 0 to 2 or none."
            )
            raise InputError(message)

    @property
    def shares(self) -> dict[Split, float]:
        """The shares of the splits that have one."""
        shares: dict[Split, float] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        return {split: share for split, share in shares.items() if share > 0}

    def as_dict(self) -> dict[str, Any]:
        """Return the rules as JSON values."""
        return asdict(self)


def shares_of(split: str) -> dict[str, Any]:
    """Return the shares of ``TRAIN:VALIDATION:TEST``, such as 80:10:10, as fields of `Rules`.

    Raises
    ------
    InputError
        If these are not three numbers.
    """
    try:
        train, validation, test = map(float, split.split(":"))
    except ValueError as error:
        message = f"the split is {split!r}; expected three numbers, as in 80:10:10."
        raise InputError(message) from error
    return {"train": train, "validation": validation, "test": test}


def _are_shares(shares: tuple[float, ...]) -> bool:
    return all(math.isfinite(share) and share >= 0 for share in shares) and sum(shares) > 0


def split_of(patient: str, rules: Rules) -> Split:
    """Return the split of a patient.

    It does not depend on the other patients, so that it stays when patients are added. Nor does
    it depend on capitals or Unicode's forms: one name is one person. The shares are
    met on average, not exactly.

    Parameters
    ----------
    patient : str
    rules : Rules
        Their seed, and the shares of the patients.
    """
    shares = rules.shares
    place = _fraction(patient, rules.seed) * sum(shares.values())
    for split, share in shares.items():
        if place < share:
            return split
        place -= share
    return split  # rounding


def _fraction(patient: str, seed: int) -> float:
    """Return a number in [0, 1), evenly spread over patients."""
    digest = hashlib.sha256(f"{seed}\0{folded(patient)}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # a double has 53 bits

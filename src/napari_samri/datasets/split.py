"""Which patient is in which split: a matter of the patient's name and the seed alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from napari_samri.datasets.spelling import folded

if TYPE_CHECKING:
    from napari_samri.datasets.manifest import Manifest
    from napari_samri.datasets.rules import Rules, Split


def split_of(patient: str, rules: Rules) -> Split:
    """Return the split of a patient.

    It does not depend on who else there is: nobody changes sides when patients are added.
    Nor does it depend on capitals or Unicode's forms: one name is one person. The shares are
    met on average, not to the patient.

    Parameters
    ----------
    patient : str
    rules : Rules
        Their seed, and the shares of the patients.
    """
    shares = _shares(rules)
    place = _fraction(patient, rules.seed) * sum(shares.values())
    for split, share in shares.items():
        if place < share:
            return split
        place -= share
    return split  # rounding


def empty_splits(manifest: Manifest) -> tuple[Split, ...]:
    """Return the splits that should have patients, by the rules, and have none.

    Where all data sets are held out as zero-shot, none should.
    """
    if all(dataset.zero_shot for dataset in manifest.datasets):
        return ()
    found = {study.split for study in manifest.studies}
    return tuple(split for split in _shares(manifest.rules) if split not in found)


def _shares(rules: Rules) -> dict[Split, float]:
    shares: dict[Split, float] = {
        "train": rules.train,
        "validation": rules.validation,
        "test": rules.test,
    }
    return {split: share for split, share in shares.items() if share > 0}


def _fraction(patient: str, seed: int) -> float:
    """Return a number in [0, 1), evenly spread over patients."""
    digest = hashlib.sha256(f"{seed}\0{folded(patient)}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # a double has 53 bits

"""The real MRI that ``finetune_dice.py`` trains and tests on, by anatomy, and its files laid out.

A subject is a pair NAME_img.nii.gz and NAME_seg.nii.gz of the data folder.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import nibabel as nib

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Anatomy:
    """Subjects to train on, to validate on and to test on.

    ``crop`` maps a subject to the voxels that are kept of it (first axis, second axis).
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()
    crop: dict[str, tuple[slice, slice]] = field(default_factory=dict)

    def split_of(self) -> dict[str, str]:
        """Return the split of each subject."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for split, names in splits.items() for name in names}


# The larger of the two pictures of the cord, cut to the extent of the smaller: 24.5 by 27 mm.
_CORD = {"sct_t2s_gm": (slice(147, 196), slice(135, 189))}

ANATOMIES = {
    "mouse brain": Anatomy(("mouse_fvb1",), ("mouse_fvb2",)),
    # Two sittings: the cords lie 7 mm apart in the scanner, and one is wider. Trained on either.
    "grey matter": Anatomy(("sct_t2s_gmcrop",), ("sct_t2s_gm",), crop=_CORD),
    "grey matter, other way": Anatomy(("sct_t2s_gm",), ("sct_t2s_gmcrop",), crop=_CORD),
    "grey matter, whole field": Anatomy(("sct_t2s_gmcrop",), ("sct_t2s_gm",)),
    # Offered by their makers as simulated stand-ins for T2 scans.
    "prostate": Anatomy(
        ("deepreg_prostate02", "deepreg_prostate06"),
        ("deepreg_prostate10",),
        ("deepreg_prostate05",),
    ),
    # One person: T2 and magnetisation transfer come with the warp between them, and the T1 cord
    # lies where they do. What is new in the test is the contrast.
    "cord contrasts": Anatomy(("sct_t1_cord", "sct_mt_cord"), ("sct_t2_cord",)),
}


def lay_out(anatomy: Anatomy, data: Path, folder: Path) -> None:
    """Write the image and the labels of every subject into a folder."""
    for name in anatomy.split_of():
        for kind in ("img", "seg"):
            file = f"{name}_{kind}.nii.gz"
            if name in anatomy.crop:
                rows, columns = anatomy.crop[name]
                nib.save(nib.load(data / file).slicer[rows, columns, :], folder / file)
            else:
                shutil.copy(data / file, folder)

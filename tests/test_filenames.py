"""Names of files: suffixes in any case, and dots that belong to the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_samri.errors import InputError
from napari_samri.filenames import (
    NIFTI_SUFFIXES,
    VOLUME_SUFFIXES,
    check_name,
    dialog_filter,
    has_suffix,
    stem_of,
    suffix_of,
)


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a.nii", "a", ".nii"),
        ("a.nii.gz", "a", ".nii.gz"),
        ("A.NII.GZ", "A", ".NII.GZ"),
        ("a.Nii.gz", "a", ".Nii.gz"),
        ("sub-01.ses-1_T1.nii.gz", "sub-01.ses-1_T1", ".nii.gz"),
        ("sub-01.ses-2_T1.nii", "sub-01.ses-2_T1", ".nii"),
        ("1.2.840.113", "1.2.840.113", ""),
        ("a.nii.gz.bak", "a.nii.gz.bak", ""),
        ("a.gz", "a.gz", ""),
        (".nii", ".nii", ""),  # nothing but a suffix: a hidden file called so
        ("nii", "nii", ""),
        ("Zoë.v1.NII", "Zoë.v1", ".NII"),
    ],
)
def test_a_name_is_its_stem_and_its_suffix(name, stem, suffix):
    for path in (name, Path("some.folder.nii", name)):
        assert (stem_of(path, NIFTI_SUFFIXES), suffix_of(path, NIFTI_SUFFIXES)) == (stem, suffix)
        assert has_suffix(path, NIFTI_SUFFIXES) == bool(suffix)


def test_the_longest_suffix_wins_whatever_the_order():
    assert stem_of("a.mgh.gz", [".gz", ".mgh.gz", ".mgh"]) == "a"
    assert stem_of("a.b.ima", VOLUME_SUFFIXES) == "a.b"


@pytest.mark.parametrize("name", ["a\0b.nii", "x" * 256, "ä" * 128 + ".nii", "x" * 300 + "/a.nii"])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(InputError, match=r"null character|takes \d+ bytes"):
        check_name(name)
    check_name("x" * 251 + ".nii")


def test_dialogs_get_both_cases():
    assert dialog_filter("NIfTI", [".nii"]) == "NIfTI (*.nii *.NII)"

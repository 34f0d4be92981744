"""TotalSegmentator's folders: an organ, a file."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samri.datasets import Rules, prepare
from napari_samri.datasets.layouts.totalsegmentator import TotalSegmentatorLayout
from napari_samri.datasets.loading import load_study
from tests.datasets.making import SHAPE, noise, touch, write

LAYOUT = TotalSegmentatorLayout()


@pytest.mark.parametrize("image", ["mri", "ct"])
@pytest.mark.parametrize("above", ["", "train/"])
def test_organs_of_a_case(tmp_path, image, above):
    for case in ("s0001", "s0002"):
        touch(tmp_path, f"{above}{case}/{image}.nii.gz", f"{above}{case}/segmentations/notes.txt")
        for organ in ("liver", "spleen"):
            touch(tmp_path, f"{above}{case}/segmentations/{organ}.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert [(case.patient, case.structure) for case in findings.cases] == [
        ("s0001", "liver"),
        ("s0001", "spleen"),
        ("s0002", "liver"),
        ("s0002", "spleen"),
    ]
    assert {case.image.name for case in findings.cases} == {f"{image}.nii.gz"}
    assert not findings.problems


def test_what_is_missing(tmp_path):
    touch(tmp_path, "a/mri.nii", "a/segmentations/liver.nii", "b/segmentations/liver.nii")
    touch(tmp_path, "c/mri.nii", "c/segmentations/x.txt", "meta.csv")
    assert [text.split(".")[0] for text in LAYOUT.find(tmp_path).problems] == [
        "b: has no image called mri or mr or ct or image",
        "c: has no organs",
    ]


def test_other_folders_are_not_taken(tmp_path):
    touch(tmp_path, "a/mri.nii", "images/x.nii", "meta.csv")
    assert not LAYOUT.recognises(tmp_path)
    assert not LAYOUT.recognises(tmp_path / "meta.csv")


@pytest.mark.filterwarnings("ignore:no patient is in")
def test_one_label_map_with_the_organs_names(tmp_path):
    """A case that lacks an organ's file has the other organs under the same labels."""
    places = {"spleen": slice(0, 4), "aorta": slice(4, 8), "liver": slice(8, 12)}
    for seed, case in enumerate(("s1", "s2")):
        write(tmp_path / case / "mri.nii", noise(seed))
        for organ, rows in places.items():
            mask = np.zeros(SHAPE, np.uint8)
            mask[rows] = 1
            if (case, organ) != ("s2", "aorta"):
                write(tmp_path / case / "segmentations" / f"{organ}.nii", mask)
    manifest = prepare(tmp_path, Rules(min_pixels=1))
    (dataset,) = manifest.datasets
    assert dataset.layout == "totalsegmentator"
    assert dataset.label_names == {1: "aorta", 2: "liver", 3: "spleen"}
    for study, aorta in zip(manifest.studies, (1, 0), strict=True):
        image, labels = load_study(tmp_path, study)
        found = image.orientation.to_stored(labels)
        assert [int(found[row, 0, 0]) for row in (0, 4, 8)] == [3, aorta, 2]

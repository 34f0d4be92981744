"""SAMRI's own layout."""

from __future__ import annotations

from napari_samri.datasets.layouts.samri import SamriLayout
from tests.datasets.making import names, touch

LAYOUT = SamriLayout()


def test_a_set(tmp_path):
    touch(tmp_path, "training/a_img_1.nii.gz", "training/a_seg_1.nii.gz")
    touch(tmp_path, "testing/b_img_1.nii.gz", "testing/b_seg_1.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert names(findings) == [
        ("testing/b_img_1.nii.gz", "testing/b_seg_1.nii.gz", "b"),
        ("training/a_img_1.nii.gz", "training/a_seg_1.nii.gz", "a"),
    ]
    assert {case.dataset for case in findings.cases} == {""}


def test_a_folder_of_sets(tmp_path):
    touch(tmp_path, "DS1/training/a_img_1.nii.gz", "DS1/training/a_seg_1.nii.gz")
    touch(tmp_path, "DS2/validation/a_img_1.nii.gz", "DS2/validation/a_seg_1.nii.gz")
    touch(tmp_path, "notes/readme.txt")
    assert LAYOUT.recognises(tmp_path)
    assert sorted(case.dataset for case in LAYOUT.find(tmp_path).cases) == ["DS1", "DS2"]


def test_a_missing_mask_leaves_the_others_alone(tmp_path):
    touch(tmp_path, "training/a_img_1.nii.gz", "training/a_img_2.nii.gz", "training/a_seg_1.nii.gz")
    findings = LAYOUT.find(tmp_path)
    assert len(findings.cases) == 1
    (problem,) = findings.problems
    assert problem.startswith("training/a_img_2.nii.gz: has no labels")


def test_shifted_numbers_are_not_guessed(tmp_path):
    """Images 5 and 6 with labels 4 and 5: that both have a 5 does not make them a pair."""
    touch(tmp_path, *(f"testing/a_img_{n}.nii.gz" for n in (5, 6)))
    touch(tmp_path, *(f"testing/a_seg_{n}.nii.gz" for n in (4, 5)))
    touch(tmp_path, "testing/b_img_5.nii.gz", "testing/b_seg_5.nii.gz")
    findings = LAYOUT.find(tmp_path)
    assert [case[2] for case in names(findings)] == ["b"]
    (problem,) = findings.problems
    assert "testing: the images a_img_* have the numbers 5, 6, the labels a_seg_* 4, 5" in problem


def test_real_data(shared_data):
    findings = LAYOUT.find(shared_data / "samri_layout")
    assert len(findings.cases) == 4
    assert {case.dataset for case in findings.cases} == {"DS1"}
    assert {case.patient for case in findings.cases} == {"example"}
    (problem,) = findings.problems
    assert problem.startswith("DS1/testing: the images example_img_* have the numbers 5, 6")


def test_other_folders_are_not_taken(tmp_path):
    touch(tmp_path, "training/notes.txt", "other/a_img_1.nii.gz", "other/a_seg_1.nii.gz")
    assert not LAYOUT.recognises(tmp_path)
    assert not LAYOUT.recognises(tmp_path / "training" / "notes.txt")

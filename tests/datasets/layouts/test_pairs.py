"""NAME_img beside NAME_seg."""

from __future__ import annotations

import pytest

from napari_samri.datasets.layouts.pairs import PairsLayout
from tests.datasets.making import names, touch
from tests.io.test_dicom import make_series

LAYOUT = PairsLayout()


@pytest.mark.parametrize("end", ["seg", "dseg", "mask", "label", "labels", "SEG"])
def test_ends_of_labels(tmp_path, end):
    touch(tmp_path, "a_img.nii.gz", f"a_{end}.nii", "b_image.nii", f"b_{end}.nii.gz", "c.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert names(findings) == [
        ("a_img.nii.gz", f"a_{end}.nii", "a"),
        ("b_image.nii", f"b_{end}.nii.gz", "b"),
    ]
    assert findings.left_out == {"files of other names": 1}


def test_patients_by_folder(tmp_path):
    touch(tmp_path, "p1/t1_img.nii", "p1/t1_seg.nii", "p1/x/t2_img.nii", "p1/x/t2_seg.nii")
    touch(tmp_path, "train/q_img.nii", "train/q_seg.nii")
    assert [case[2] for case in names(LAYOUT.find(tmp_path))] == ["p1", "p1", "q"]


def test_pairs_of_different_folders_are_none(tmp_path):
    touch(tmp_path, "p1/t1_img.nii", "p2/t1_seg.nii")
    findings = LAYOUT.find(tmp_path)
    assert not findings.cases
    assert [text.split(":")[0] for text in findings.problems] == ["p1/t1_img.nii", "p2/t1_seg.nii"]


def test_two_label_files_are_not_guessed(tmp_path):
    touch(tmp_path, "a_img.nii", "a_seg.nii", "a_mask.nii")
    findings = LAYOUT.find(tmp_path)
    assert not findings.cases
    (problem,) = findings.problems
    assert problem.startswith("a_img.nii: 2 label files fit (a_mask.nii, a_seg.nii)")


def test_folders_of_dicom_are_images(tmp_path):
    make_series(tmp_path / "a_img", count=3)
    touch(tmp_path, "a_seg.nii.gz")
    assert names(LAYOUT.find(tmp_path)) == [("a_img", "a_seg.nii.gz", "a")]


def test_links_in_circles(tmp_path):
    touch(tmp_path, "p/a_img.nii", "p/a_seg.nii")
    (tmp_path / "p" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert names(LAYOUT.find(tmp_path)) == [("p/a_img.nii", "p/a_seg.nii", "p")]


def test_links_to_elsewhere(tmp_path):
    touch(tmp_path / "store", "a_img.nii", "a_seg.nii")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "p1").symlink_to(tmp_path / "store", target_is_directory=True)
    assert names(LAYOUT.find(tmp_path / "set")) == [("p1/a_img.nii", "p1/a_seg.nii", "p1")]


def test_real_data(shared_data):
    findings = LAYOUT.find(shared_data / "images_labelled")
    assert len(findings.cases) == 22
    assert not findings.problems

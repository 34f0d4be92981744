"""BraTS' folders, of all years."""

from __future__ import annotations

import pytest

from napari_samri.datasets.layouts.brats import BratsLayout
from tests.datasets.making import names, touch

LAYOUT = BratsLayout()


@pytest.mark.parametrize(
    ("case", "separator", "contrasts"),
    [
        ("HGG/BraTS19_MADE_AAB_1", "_", ("t1", "t1ce", "t2", "flair")),
        ("BraTS2021_00002", "_", ("t1", "t1ce", "t2", "flair")),
        ("BraTS-GLI-00003-001", "-", ("t1n", "t1c", "t2w", "t2f")),
    ],
)
def test_each_contrast_is_a_study(tmp_path, case, separator, contrasts):
    name = case.rpartition("/")[2]
    files = [f"{case}/{name}{separator}{end}.nii.gz" for end in (*contrasts, "seg")]
    touch(tmp_path, *files, f"{case}/{name}{separator}other.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert names(findings) == sorted((file, files[-1], name) for file in files[:-1])
    assert findings.left_out == {"files of other names": 1}
    assert not findings.problems


def test_names_that_say_nobody(tmp_path):
    """The folder is the case then."""
    touch(tmp_path, "p1/t1.nii", "p1/seg.nii", "p2/brain_t1.nii", "p2/brain_seg.nii")
    touch(tmp_path, "p3/scan1_flair.nii", "p3/scan1_seg.nii")
    assert [case[2] for case in names(LAYOUT.find(tmp_path))] == ["p1", "p2", "p3"]


def test_lone_files_are_problems(tmp_path):
    touch(tmp_path, "a/a_t1.nii", "a/a_seg.nii", "b/b_t1.nii", "c/c_seg.nii")
    findings = LAYOUT.find(tmp_path)
    assert len(findings.cases) == 1
    assert [text.split(":")[0] for text in findings.problems] == ["b/b_t1.nii", "c/c_seg.nii"]


def test_a_contrast_beside_labels_of_another_case(tmp_path):
    touch(tmp_path, "a_t1.nii", "b_seg.nii")
    assert not LAYOUT.recognises(tmp_path)
    assert not LAYOUT.recognises(tmp_path / "a_t1.nii")

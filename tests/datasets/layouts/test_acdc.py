"""ACDC's folders."""

from __future__ import annotations

from napari_samri.datasets.layouts.acdc import AcdcLayout
from tests.datasets.making import names, touch

LAYOUT = AcdcLayout()


def test_frames_and_films(tmp_path):
    for part, person in (("training", "patient001"), ("testing", "patient101")):
        stem = f"{part}/{person}/{person}"
        touch(tmp_path, f"{stem}_4d.nii.gz", f"{part}/{person}/Info.cfg")
        for frame in ("frame01", "frame12"):
            touch(tmp_path, f"{stem}_{frame}.nii.gz", f"{stem}_{frame}_gt.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert names(findings)[2] == (
        "training/patient001/patient001_frame01.nii.gz",
        "training/patient001/patient001_frame01_gt.nii.gz",
        "patient001",
    )
    assert [case[2] for case in names(findings)] == ["patient101"] * 2 + ["patient001"] * 2
    assert findings.left_out == {"films of a heartbeat": 2}
    assert not findings.problems


def test_a_frame_without_labels(tmp_path):
    touch(tmp_path, "p1_frame01.nii", "p1_frame01_gt.nii", "p1_frame02.nii", "p2_frame01_gt.nii")
    findings = LAYOUT.find(tmp_path)
    assert [case[2] for case in names(findings)] == ["p1_frame01"]
    assert [text.split(":")[0] for text in findings.problems] == [
        "p1_frame02.nii",
        "p2_frame01_gt.nii",
    ]


def test_other_folders_are_not_taken(tmp_path):
    touch(tmp_path, "a_gt.nii", "b.nii")
    assert not LAYOUT.recognises(tmp_path)
    assert not LAYOUT.recognises(tmp_path / "b.nii")

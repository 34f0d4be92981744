"""BIDS derivatives, with images in the derivative or in the raw tree."""

from __future__ import annotations

import pytest

from napari_samri.datasets.layouts.bids import BidsLayout
from tests.datasets.making import names, touch

LAYOUT = BidsLayout()
RAW = "sub-01/ses-1/anat/sub-01_ses-1"
DERIVED = "derivatives/manual/sub-01/ses-1/anat/sub-01_ses-1"


def test_images_in_the_raw_tree(tmp_path):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{DERIVED}_dseg.nii.gz")
    touch(tmp_path, "sub-02/anat/sub-02_T1w.nii.gz", "sub-01/func/sub-01_bold.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert names(findings) == [(f"{RAW}_T1w.nii.gz", f"{DERIVED}_dseg.nii.gz", "sub-01")]
    assert findings.left_out == {"images of subjects without labels": 1}
    assert not findings.problems


def test_images_of_the_derivative_come_first(tmp_path):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{DERIVED}_desc-preproc_T1w.nii.gz")
    touch(tmp_path, f"{DERIVED}_desc-brain_mask.nii.gz")
    ((image, _, _),) = names(LAYOUT.find(tmp_path))
    assert image == f"{DERIVED}_desc-preproc_T1w.nii.gz"


def test_spaces_are_kept_apart(tmp_path):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{DERIVED}_space-MNI_T1w.nii.gz")
    touch(tmp_path, f"{DERIVED}_space-MNI_dseg.nii.gz", f"{DERIVED}_space-orig_dseg.nii.gz")
    assert names(LAYOUT.find(tmp_path)) == [
        (f"{DERIVED}_space-MNI_T1w.nii.gz", f"{DERIVED}_space-MNI_dseg.nii.gz", "sub-01"),
        (f"{RAW}_T1w.nii.gz", f"{DERIVED}_space-orig_dseg.nii.gz", "sub-01"),
    ]


@pytest.mark.parametrize("end", ["T2w_seg", "T2w_seg-manual", "T2w_label-SC_mask", "T2w_dseg"])
def test_labels_that_repeat_the_contrast(tmp_path, end):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{RAW}_T2w.nii.gz", f"{DERIVED}_{end}.nii.gz")
    ((image, labels, _),) = names(LAYOUT.find(tmp_path))
    assert (image, labels) == (f"{RAW}_T2w.nii.gz", f"{DERIVED}_{end}.nii.gz")


def test_two_contrasts_that_fit_are_not_guessed(tmp_path):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{RAW}_T2w.nii.gz", f"{DERIVED}_dseg.nii.gz")
    findings = LAYOUT.find(tmp_path)
    assert not findings.cases
    (problem,) = findings.problems
    assert "several images fit (sub-01_ses-1_T1w.nii.gz, sub-01_ses-1_T2w.nii.gz)" in problem


def test_labels_without_an_image(tmp_path):
    other_run = RAW + "_run-2_T1w.nii.gz"
    touch(tmp_path, f"{DERIVED}_run-1_dseg.nii.gz", other_run)
    (problem,) = LAYOUT.find(tmp_path).problems
    assert problem.startswith(f"{DERIVED}_run-1_dseg.nii.gz: labels without an image")


def test_a_derivative_by_itself(tmp_path):
    touch(tmp_path, "sub-7/anat/sub-7_T1w.nii", "sub-7/anat/sub-7_dseg.nii")
    assert LAYOUT.recognises(tmp_path)
    assert names(LAYOUT.find(tmp_path)) == [
        ("sub-7/anat/sub-7_T1w.nii", "sub-7/anat/sub-7_dseg.nii", "sub-7")
    ]


def test_names_of_labels(tmp_path):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{DERIVED}_desc-aseg_dseg.nii.gz")
    tables = {
        tmp_path / f"{DERIVED}_desc-aseg_dseg.tsv": "index\tname\n0\tnothing\n2\twhite matter\n",
        tmp_path / "derivatives/manual/desc-aseg_dseg.tsv": "name\tindex\ngrey matter\t3\nfat\t4\n",
        tmp_path / "derivatives/manual/dseg.tsv": "index\tname\n4\tmuscle\n",
        tmp_path / "derivatives/manual/desc-other_dseg.tsv": "index\tname\n9\telsewhere\n",
    }
    for path, text in tables.items():
        path.write_text(text)
    findings = LAYOUT.find(tmp_path)
    # label 4 has two names, so its name is not known
    assert findings.label_names == {2: "white matter", 3: "grey matter"}
    assert not findings.problems


@pytest.mark.parametrize(
    "content", [b"label\tname\n1\tx\n", b"index\tname\none\tx\n", b"\xff\xfe", b""]
)
def test_damaged_tables_cost_the_names_only(tmp_path, content):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", f"{DERIVED}_dseg.nii.gz")
    (tmp_path / f"{DERIVED}_dseg.tsv").write_bytes(content)
    findings = LAYOUT.find(tmp_path)
    assert len(findings.cases) == 1
    (problem,) = findings.problems
    assert problem.startswith(f"{DERIVED}_dseg.tsv: cannot be used")


def test_raw_data_without_labels_are_not_taken(tmp_path):
    touch(tmp_path, f"{RAW}_T1w.nii.gz", "derivatives/empty/README")
    assert not LAYOUT.recognises(tmp_path)


def test_masks_of_one_structure_each(tmp_path):
    touch(tmp_path, f"{RAW}_T2w.nii.gz", f"{DERIVED}_T2w_label-SC_mask.nii.gz")
    touch(tmp_path, f"{DERIVED}_T2w_label-GM_seg.nii.gz", f"{DERIVED}_T2w_dseg.nii.gz")
    found = LAYOUT.find(tmp_path).cases
    assert sorted(case.structure for case in found) == ["", "GM", "SC"]
    assert len({case.image for case in found}) == 1


@pytest.mark.parametrize(
    ("raw", "derived"), [("Sub-01", "sub-01"), ("sub-Zo\u00eb", "sub-Zoe\u0308")]
)
def test_subjects_however_they_are_spelled(tmp_path, raw, derived):
    touch(tmp_path, f"{raw}/anat/{raw}_T1w.nii", f"derivatives/x/{derived}/anat/{derived}_dseg.nii")
    touch(tmp_path, "sub-02/anat/sub-02_T1w.nii")
    findings = LAYOUT.find(tmp_path)
    ((image, _, _),) = names(findings)
    assert image == f"{raw}/anat/{raw}_T1w.nii"
    assert findings.left_out == {"images of subjects without labels": 1}

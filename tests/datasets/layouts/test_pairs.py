"""NAME_img beside NAME_seg."""

from __future__ import annotations

import unicodedata

import pytest

from napari_samri.datasets.layouts import find_in_two_folders
from napari_samri.datasets.layouts.pairs import FoldersLayout, ImagesLayout, PairsLayout
from napari_samri.errors import InputError
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


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("a", "a"),
        ("a", "a_seg"),
        ("a_img", "a_mask"),
        ("a_0000", "a_label"),
        ("a_0003", "a"),
        ("a_img_0000", "a_labels"),
        ("a_0000_img", "a_dseg"),
        ("a_seg", "a_seg"),
        ("a_0001", "a_0001"),
        ("a_0001_img", "a_0001_seg"),
    ],
)
def test_names_that_fit(tmp_path, image, labels):
    touch(tmp_path, f"pictures/{image}.nii.gz", f"masks/{labels}.nii")
    findings = find_in_two_folders(tmp_path / "pictures", tmp_path / "masks")
    ((found, mask, _),) = names(findings)
    assert (found, mask) == (f"pictures/{image}.nii.gz", f"masks/{labels}.nii")
    assert findings.root == tmp_path


def test_numbers_are_channels_only_where_labels_have_none(tmp_path):
    touch(tmp_path, *(f"i/{n}.nii" for n in ("a_0001", "a_0002", "b_0000", "b_0001")))
    touch(tmp_path, "l/a_0001.nii", "l/a_0002.nii", "l/b.nii")
    assert names(find_in_two_folders(tmp_path / "i", tmp_path / "l")) == [
        ("i/a_0001.nii", "l/a_0001.nii", "a_0001"),
        ("i/a_0002.nii", "l/a_0002.nii", "a_0002"),
        ("i/b_0000.nii", "l/b.nii", "b"),
        ("i/b_0001.nii", "l/b.nii", "b"),
    ]


def test_folders_in_between_belong_to_the_name(tmp_path):
    touch(tmp_path, "i/p1/t1.nii", "i/p2/t1.nii", "l/p1/t1_seg.nii", "l/p2/t1_seg.nii")
    assert names(find_in_two_folders(tmp_path / "i", tmp_path / "l")) == [
        ("i/p1/t1.nii", "l/p1/t1_seg.nii", "p1"),
        ("i/p2/t1.nii", "l/p2/t1_seg.nii", "p2"),
    ]


def test_what_does_not_fit(tmp_path):
    touch(tmp_path, "i/a.nii", "i/b.nii", "i/c.nii", "l/b.nii", "l/b_seg.nii", "l/d.nii", "l/c.nii")
    findings = find_in_two_folders(tmp_path / "i", tmp_path / "l")
    assert len(findings.cases) == 1
    assert [text.split(":")[0] for text in findings.problems] == ["i/a.nii", "i/b.nii", "l/d.nii"]
    assert "2 label files fit (l/b.nii, l/b_seg.nii)" in findings.problems[1]


def test_folders_in_between_however_they_are_spelled(tmp_path):
    name = "Zo\u00eb"
    touch(tmp_path, f"i/{name}/t1.nii", f"l/{unicodedata.normalize('NFD', name)}/t1.nii")
    assert len(find_in_two_folders(tmp_path / "i", tmp_path / "l").cases) == 1


def test_folders_of_dicom(tmp_path):
    make_series(tmp_path / "i" / "a", count=3)
    touch(tmp_path, "l/a.nii.gz")
    assert names(find_in_two_folders(tmp_path / "i", tmp_path / "l")) == [
        ("i/a", "l/a.nii.gz", "a")
    ]


def test_a_missing_folder(tmp_path):
    touch(tmp_path, "i/a.nii")
    with pytest.raises(InputError, match="cannot be listed"):
        find_in_two_folders(tmp_path / "i", tmp_path / "l")


def test_images_beside_masks(tmp_path):
    touch(tmp_path, "images/a.nii", "masks/a.nii")
    layout = FoldersLayout()
    assert layout.recognises(tmp_path)
    assert names(layout.find(tmp_path)) == [("images/a.nii", "masks/a.nii", "a")]
    touch(tmp_path, "labels/a.nii")
    with pytest.raises(InputError, match=r"found of the latter: labels, masks\. Name the folder"):
        layout.find(tmp_path)


def test_images_alone(tmp_path):
    """Patients are told as in pairs; what may be a set whose labels are missing is not guessed."""
    touch(tmp_path, "p1/T1.nii.gz", "p1/ses-2/T2.nii.gz", "case7_img.nii.gz", "notes.txt")
    layout = ImagesLayout()
    assert not layout.recognises(tmp_path)
    found = layout.find(tmp_path)
    assert [case.labels for case in found.cases] == [None] * 3
    assert {case.image.name: case.patient for case in found.cases} == {
        "T1.nii.gz": "p1",
        "T2.nii.gz": "p1",
        "case7_img.nii.gz": "case7",
    }
    assert not found.problems

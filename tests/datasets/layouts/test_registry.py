"""Which layout a folder has."""

from __future__ import annotations

import pytest

from napari_samri.datasets.layouts import LAYOUTS, detect_layout, layout_by_id
from napari_samri.errors import InputError, InputWarning
from tests.datasets.making import touch

EXAMPLES = {
    "csv": ("list.csv",),
    "nnunet": ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "dataset.json"),
    "bids": ("sub-1/anat/sub-1_T1w.nii.gz", "derivatives/x/sub-1/anat/sub-1_dseg.nii.gz"),
    "samri": ("DS/training/a_img_1.nii.gz", "DS/training/a_seg_1.nii.gz"),
    "folders": ("images/a.nii.gz", "labels/a.nii.gz"),
    "pairs": ("a_img.nii.gz", "a_seg.nii.gz"),
    "totalsegmentator": ("s1/mri.nii.gz", "s1/segmentations/liver.nii.gz"),
    "brats": ("a/a_flair.nii.gz", "a/a_t2.nii.gz", "a/a_seg.nii.gz"),
    "acdc": ("p1/p1_frame01.nii.gz", "p1/p1_frame01_gt.nii.gz", "p1/p1_4d.nii.gz"),
}


CHOSEN_ONLY = ("images",)


def test_all_layouts_are_listed() -> None:
    assert tuple(layout.id for layout in LAYOUTS) == (*EXAMPLES, *CHOSEN_ONLY)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_is_recognised_by_itself_alone(tmp_path, name):
    touch(tmp_path, *EXAMPLES[name])
    path = tmp_path / "list.csv" if name == "csv" else tmp_path
    assert [layout.id for layout in LAYOUTS if layout.recognises(path)] == [name]
    assert detect_layout(path) is layout_by_id(name)


def test_an_unknown_folder(tmp_path):
    touch(tmp_path, "one.nii.gz", "b/two.nii.gz", *(f"{n}.txt" for n in range(9)))
    with pytest.raises(InputError) as raised:
        detect_layout(tmp_path)
    message = str(raised.value)
    for layout in LAYOUTS:
        assert f"{layout.id}: {layout.looks_for}" in message
    assert "Found 2 images below it; in it 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ..." in message
    assert "Choose a layout" in message


def test_a_folder_of_two_layouts_is_told_of(tmp_path):
    touch(tmp_path, *EXAMPLES["pairs"], *EXAMPLES["acdc"])
    with pytest.warns(InputWarning, match="as the layout pairs, but could also be acdc"):
        assert detect_layout(tmp_path).id == "pairs"


@pytest.mark.parametrize(("name", "found"), [("x", "no such file"), ("y", "another kind of file")])
def test_no_folder(tmp_path, name, found):
    touch(tmp_path, "y")
    with pytest.raises(InputError, match=found):
        detect_layout(tmp_path / name)


def test_an_unknown_layout():
    with pytest.raises(
        InputError, match="no layout is called 'dicom'; expected one of csv, nnunet"
    ):
        layout_by_id("dicom")

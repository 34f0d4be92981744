"""nnU-Net's raw data and the Decathlon's."""

from __future__ import annotations

import json

import pytest

from napari_samri.datasets.layouts.nnunet import NnUNetLayout, label_names
from tests.datasets.making import names, touch

LAYOUT = NnUNetLayout()


def test_each_channel_is_a_study_of_its_patient(tmp_path):
    touch(tmp_path, *(f"imagesTr/b_001_000{n}.nii.gz" for n in range(2)), "labelsTr/b_001.nii.gz")
    touch(tmp_path, "imagesTr/b_002_0000.nii.gz", "labelsTr/b_002.nii.gz", "imagesTr/._b_3.nii.gz")
    assert LAYOUT.recognises(tmp_path)
    findings = LAYOUT.find(tmp_path)
    assert names(findings) == [
        ("imagesTr/b_001_0000.nii.gz", "labelsTr/b_001.nii.gz", "b_001"),
        ("imagesTr/b_001_0001.nii.gz", "labelsTr/b_001.nii.gz", "b_001"),
        ("imagesTr/b_002_0000.nii.gz", "labelsTr/b_002.nii.gz", "b_002"),
    ]
    assert not findings.problems


def test_decathlon_names_may_look_like_channels(tmp_path):
    touch(tmp_path, "imagesTr/la_0001.nii.gz", "labelsTr/la_0001.nii.gz")
    touch(tmp_path, "imagesTr/la_0002.nii.gz", "labelsTr/la_0002.nii.gz")
    found = names(LAYOUT.find(tmp_path))
    assert [case[2] for case in found] == ["la_0001", "la_0002"]


def test_lone_files_are_problems(tmp_path):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz")
    touch(tmp_path, "labelsTr/b.nii.gz", "labelsTr/c.nii.gz")
    findings = LAYOUT.find(tmp_path)
    assert len(findings.cases) == 1
    image, labels = findings.problems
    assert image.startswith("imagesTr/a_0000.nii.gz: has no labels")
    assert labels.startswith("labelsTr/c.nii.gz: labels without an image")


def test_tests_without_labels_are_counted(tmp_path):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "imagesTs/t_0000.nii.gz")
    findings = LAYOUT.find(tmp_path)
    assert findings.left_out == {"test images without labels": 1}
    assert not findings.problems


def test_tests_with_labels_are_used(tmp_path):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    touch(tmp_path, "imagesTs/t_0000.nii.gz", "labelsTs/t.nii.gz")
    assert [case[2] for case in names(LAYOUT.find(tmp_path))] == ["a", "t"]


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "background", "1": "liver", "2": "tumour"},
        {"background": 0, "liver": 1, "tumour": 2, "both": [1, 2]},
    ],
)
def test_label_names(tmp_path, labels):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    findings = LAYOUT.find(tmp_path)
    assert findings.label_names == {1: "liver", 2: "tumour"}
    assert not findings.problems


def test_what_is_no_label_has_no_name(tmp_path):
    labels = {"9" * 5000: "a", "65536": "b", "x": 65536, "y": True, "z": -1, "": [], "3": "c"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "other": float("nan")}))
    assert label_names(tmp_path / "dataset.json") == {3: "c"}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"labels": [1]}',
        '{"labels": {"liver": 1e999}}',
        '{"labels": {"liver": 1' + "0" * 5000 + "}}",
        '{"labels": null}',
        "\xff",
        "[" * 100_000,
    ],
)
def test_a_damaged_dataset_json_costs_the_names_only(tmp_path, content):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    (tmp_path / "dataset.json").write_bytes(content.encode("latin1"))
    findings = LAYOUT.find(tmp_path)
    assert len(findings.cases) == 1
    assert findings.label_names == {}
    (problem,) = findings.problems
    assert problem.startswith("dataset.json: cannot be used")

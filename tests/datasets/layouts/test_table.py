"""Pairs by a CSV."""

from __future__ import annotations

import pytest

from napari_samri.datasets.layouts.table import TableLayout
from napari_samri.errors import InputError
from tests.datasets.making import names

LAYOUT = TableLayout()


def table(folder, text, name="list.csv", encoding="utf-8"):
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


def test_all_columns(tmp_path):
    path = table(
        tmp_path,
        " Image ,labels,note,patient,dataset\n"
        "a/x.nii,./m/../a/y.nii,hello,Anna,knees\n"
        '"b,c/x.nii",y.nii,,,\n'
        ",,,,\n",
        encoding="utf-8-sig",
    )
    assert LAYOUT.recognises(path)
    findings = LAYOUT.find(path)
    assert names(findings) == [("a/x.nii", "a/y.nii", "Anna"), ("b,c/x.nii", "y.nii", "b,c")]
    first, second = findings.cases
    assert (first.dataset, first.patient_is_given) == ("knees", True)
    assert (second.dataset, second.patient_is_given) == ("", False)


def test_tabs(tmp_path):
    path = table(tmp_path, "image\tlabels\nx.nii\ty.nii\n", "list.tsv")
    assert names(LAYOUT.find(path)) == [("x.nii", "y.nii", "x")]


def test_absolute_paths_inside(tmp_path):
    path = table(tmp_path, f"image,labels\n{tmp_path}/x.nii,y.nii\n")
    assert names(LAYOUT.find(path)) == [("x.nii", "y.nii", "x")]


def test_rows_without_a_path(tmp_path):
    path = table(tmp_path, "image,labels\nx.nii,y.nii\n\nx.nii\n,y.nii\n")
    findings = LAYOUT.find(path)
    assert len(findings.cases) == 1
    assert [text.split(";")[0] for text in findings.problems] == [
        "list.csv, line 4: no labels",
        "list.csv, line 5: no image",
    ]


@pytest.mark.parametrize("cell", ["../x.nii", "/elsewhere/x.nii", "a/../../x.nii"])
def test_paths_outside_are_refused(tmp_path, cell):
    path = table(tmp_path, f"image,labels\nx.nii,y.nii\nx.nii,{cell}\n")
    with pytest.raises(InputError, match=r"1 paths lie outside of its folder.*Put the CSV into"):
        LAYOUT.find(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image,mask\nx,y\n", "the columns are image, mask; expected image and labels"),
        (b"", "the columns are none"),
        (b"image;labels\nx;y\n", "the columns are image;labels"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_other_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        LAYOUT.find(path)

"""Pairs by a CSV."""

from __future__ import annotations

import unicodedata

import pytest

from napari_samri.datasets.layouts.table import TableLayout
from napari_samri.errors import InputError
from tests.datasets.making import names, touch

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
        (b"image,region\nx,y\n", "the columns are image, region; expected image and labels"),
        (b"image;region\nx;y\n", "the columns are image, region; expected"),
        (b"", "the columns are none"),
        (b"# only a comment\n", "the columns are none"),
        (b"\xff\xfe\x00", "line 1: is no UTF-16"),
        (b"image,labels\nx\x81.nii,y.nii\n", "line 2: cannot be read, neither as UTF-8 nor"),
        (b"image,labels,patient\nx.nii,y.nii,J\xfcrgen\n", "line 2: is not UTF-8.*cp1252.*says J"),
        (b"image,labels\nGr\xf6\xdfe.nii,y.nii\n", "line 2: is not UTF-8.*cp1252.*says Gr"),
        (b'image,labels\n"x.nii,y.nii\n', "line 2: cannot be read"),
        (b'image,labels\nx.nii,y.nii\n"x"y,z\n', "line 3: cannot be read"),
        (b"image,mask,seg\nx,y,z\n", "the columns mask and seg both stand for labels"),
        (b"image,labels\nx.nii,y.nii\n" * 3_000_000, "is over 64 MB"),
    ],
)
def test_other_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        LAYOUT.find(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_and_encodings(tmp_path, encoding, separator):
    rows = (("Image ", "LABEL"), ("Größe.nii", '"a, b; c.nii"'))
    text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode(encoding))
    assert names(LAYOUT.find(path)) == [("Größe.nii", "a, b; c.nii", "Größe")]


def test_windows_1252_is_believed_if_the_files_are_there(tmp_path):
    touch(tmp_path, "Größe.nii", "y.nii")
    path = table(tmp_path, "image,labels,patient\nGröße.nii,y.nii,A\n", encoding="cp1252")
    assert names(LAYOUT.find(path)) == [("Größe.nii", "y.nii", "A")]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("scan,mask,subject_id", "x.nii,y.nii,Anna"),
        ("Image Path,Ground-Truth,Participant", "x.nii,y.nii,Anna"),
        ("IMG,segmentation,Patient ID", "x.nii,y.nii,Anna"),
        ("image,labels,mask,patient", "x.nii,y.nii,z.nii,Anna"),
        ("sep=;\nimage;labels;patient", "x.nii;y.nii;Anna"),
        ("# made by hand\n\n# image,labels,patient", "x.nii,y.nii,Anna"),
        ("#note\nimage,labels,patient", "#a,b,c\n,,\nx.nii,y.nii,Anna,,"),
        ("image,labels,patient", '".\\x.nii","y.nii" ,Anna'.replace('" ', '"')),
    ],
)
def test_columns_comments_and_backslashes(tmp_path, header, row):
    findings = LAYOUT.find(table(tmp_path, f"{header}\n{row}\n"))
    assert names(findings) == [("x.nii", "y.nii", "Anna")]
    assert findings.cases[0].patient_is_given


def test_folders_between_backslashes(tmp_path):
    path = table(tmp_path, "image,labels\na\\b\\x.nii,a\\y.nii\n")
    assert names(LAYOUT.find(path)) == [("a/b/x.nii", "a/y.nii", "a")]


def test_a_separator_in_a_path_without_quotes(tmp_path):
    findings = LAYOUT.find(table(tmp_path, "image,labels\na, b.nii,y.nii\nx.nii,y.nii\n"))
    assert len(findings.cases) == 1
    assert findings.problems[0].startswith("list.csv, line 2: there are more cells than columns")


def test_files_under_their_name_on_the_disk(tmp_path):
    """The table composes its letters, the disk does not, or the other way round."""
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        folder = tmp_path / form
        name = unicodedata.normalize(form, "Zo\u00eb")
        touch(folder, f"{name}/{name}_img.nii", f"{name}/{name}_seg.nii")
        text = unicodedata.normalize(other, "Zo\u00eb/Zo\u00eb")
        path = table(folder, f"image,labels\n{text}_img.nii,{text}_seg.nii\n")
        (case,) = LAYOUT.find(path).cases
        assert case.image == folder / name / f"{name}_img.nii"
        assert case.labels.exists()
        assert case.patient == "Zo\u00eb"


def structures(tmp_path, *rows, header="image,labels"):
    findings = LAYOUT.find(table(tmp_path, "\n".join((header, *rows)) + "\n"))
    found = [(case.labels.name, case.structure) for case in findings.cases]
    return found, findings.problems


def test_several_label_files_of_an_image(tmp_path):
    rows = [f"p{n}/t1.nii,p{n}/p{n}_{organ}_seg.nii" for n in (1, 2) for organ in ("liver", "gut")]
    found, problems = structures(tmp_path, *rows)
    assert [name for _, name in found] == ["liver", "gut"] * 2
    assert not problems
    rows = [f"t1.nii,{folder}/t1.nii" for folder in ("liver", "gut")]
    assert [name for _, name in structures(tmp_path, *rows)[0]] == ["liver", "gut"]


def test_structures_in_a_column(tmp_path):
    rows = ["t1.nii,1.nii,liver", "t1.nii,2.nii,gut"]
    found, _ = structures(tmp_path, *rows, header="image,mask,Organ")
    assert found == [("1.nii", "liver"), ("2.nii", "gut")]


@pytest.mark.parametrize(
    "rows",
    [
        ["t1.nii,a_rater1.nii", "t1.nii,a_rater2.nii"],
        ["t1.nii,a.nii", "t1.nii,a.nii"],
        ["t1.nii,a.nii", "t2.nii,b.nii"],
    ],
)
def test_labels_that_are_no_structures(tmp_path, rows):
    found, problems = structures(tmp_path, *rows)
    assert {name for _, name in found} == {""}
    assert not problems


def test_raters_in_a_column(tmp_path):
    rows = ["t1.nii,liver.nii,Ann", "t1.nii,spleen.nii,Bob"]
    assert {name for _, name in structures(tmp_path, *rows, header="image,labels,rater")[0]} == {""}


@pytest.mark.parametrize("files", [("1", "2"), ("a", "b"), ("seg_L", "seg_R"), ("aseg17", "18")])
def test_labels_that_may_show_anything_are_refused_by_their_rows(tmp_path, files):
    found, problems = structures(tmp_path, *(f"t1.nii,{name}.nii" for name in files))
    assert not found
    assert [text.split(":")[0] for text in problems] == ["list.csv, line 2", "list.csv, line 3"]
    assert "a column class" in problems[0]

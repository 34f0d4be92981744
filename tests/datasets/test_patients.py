"""No person on two sides of the split, whatever the names of their images."""

from __future__ import annotations

import warnings
from collections import defaultdict

import pytest

from napari_samri.datasets import Rules, prepare
from napari_samri.datasets.patients import one_spelling, people_in_two_splits, people_of
from napari_samri.datasets.rules import split_of
from napari_samri.errors import InputError, InputWarning
from tests.datasets.making import boxes, noise, touch, write

# Names of two images for each person, by layout; {n} is the person's number.
NAMES = {
    "acdc": ("nnunet", "patient{n:03}_frame01", "patient{n:03}_frame12"),
    "brats": ("nnunet", "BraTS-GLI-{n:05}-000", "BraTS-GLI-{n:05}-001"),
    "bids names": ("folders", "sub-{n:02}_ses-1_T1w", "Sub-{n:02}_ses-2_T1w"),
    "sides": ("pairs", "oai{n}_LEFT", "oai{n}_right"),
    "sessions": ("pairs", "session1/p{n}", "session2/p{n}"),
    "contrasts": ("pairs", "T1/p{n}", "T2/p{n}"),
    "folders": ("pairs", "MS{n}_baseline/brain", "MS{n}_FU1/brain"),
    "subjects below sites": ("pairs", "site1/sub-{n}/x", "site2/sub-{n}/x"),
}
PEOPLE = 8


def files(root, layout, name):
    if layout == "nnunet":
        return root / "imagesTr" / f"{name}_0000.nii", root / "labelsTr" / f"{name}.nii"
    if layout == "folders":
        return root / "images" / f"{name}.nii", root / "labels" / f"{name}.nii"
    return root / f"{name}_img.nii", root / f"{name}_seg.nii"


def make(root, layout, names):
    for seed, name in enumerate(names):
        image, labels = files(root, layout, name)
        write(image, noise(seed))
        write(labels, boxes())
    return root


@pytest.mark.filterwarnings("ignore::napari_samri.errors.InputWarning")
@pytest.mark.parametrize("kind", NAMES)
def test_a_person_is_on_one_side(tmp_path, kind):
    layout, *forms = NAMES[kind]
    names = [form.format(n=n) for n in range(1, PEOPLE + 1) for form in forms]
    manifest = prepare(make(tmp_path / "set", layout, names), Rules(train=1, validation=1, test=1))
    assert len(manifest.studies) == 2 * PEOPLE
    pictures = defaultdict(set)
    for study in manifest.studies:
        pictures[study.patient].add(study.image)
        assert study.split == split_of(study.patient, manifest.rules)
    assert [len(found) for found in pictures.values()] == [2] * PEOPLE
    read = {each.image: each.patient for each in manifest.names_read}
    assert read == {study.image: study.patient for study in manifest.studies}


def test_people_who_may_be_in_two_splits_are_named(tmp_path):
    names = [f"p{n}_{part}" for n in range(4) for part in ("aa", "bb")]
    make(tmp_path, "pairs", names)
    rules = Rules(train=1, validation=0, test=1)
    assert len({split_of(name, rules) for name in names[:2]}) == 2, "the test needs them torn"
    with pytest.warns(InputWarning, match=r"may be on two sides.*p0_aa \(\w+\) and p0_bb \(\w+\)"):
        prepare(tmp_path, rules)
    with pytest.warns(InputWarning, match="may be on two sides"):
        prepare(tmp_path, Rules(train=1, validation=0, test=1, own_patients=True, seed=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manifest = prepare(tmp_path, rules, patient_pattern=r"(?P<patient>p\d)")
    assert {study.patient for study in manifest.studies} == {f"p{n}" for n in range(4)}


@pytest.mark.filterwarnings("ignore:no patient is in")
def test_pictures_of_too_few_people_are_told(tmp_path):
    make(tmp_path, "pairs", [f"site1_frame{n}" for n in range(9)])
    with pytest.warns(InputWarning, match="9 names would be of 1 patients only, such as site1"):
        manifest = prepare(tmp_path)
    assert len({study.patient for study in manifest.studies}) == 9


@pytest.mark.filterwarnings("ignore:no patient is in")
def test_what_comes_first(tmp_path):
    """A table's column, BIDS' folders, the pattern, the names."""
    make(tmp_path, "pairs", ["a/sub-1_T1w", "p7_frame1"])
    rows = "image,labels,patient\n{0}_img.nii,{0}_seg.nii,Anna\n{1}_img.nii,{1}_seg.nii,\n"
    (tmp_path / "list.csv").write_text(rows.format("a/sub-1_T1w", "p7_frame1"))
    anatomy = tmp_path / "bids" / "sub-9" / "anat"
    write(anatomy / "sub-9_T1w.nii", noise(77))
    write(anatomy / "sub-9_dseg.nii", boxes())
    found = [
        {
            each.patient: each.known_by
            for each in prepare(source, patient_pattern=pattern).names_read
        }
        for source in (tmp_path / "list.csv", tmp_path)
        for pattern in ((), r"(\d)")
    ]
    assert found[0] == {"Anna": "table", "p7": "name"}
    assert found[1] == {"Anna": "table", "7": "pattern"}
    assert found[2] == {"sub-1": "name", "p7": "name"}
    assert found[3] == {"1": "pattern", "7": "pattern"}
    with pytest.warns(InputWarning, match="the pattern is not used for them"):
        (read,) = prepare(tmp_path / "bids", patient_pattern=r"(\d)").names_read
    assert (read.patient, read.known_by) == ("sub-9", "subject's folder")


@pytest.mark.parametrize("pattern", ["(", "(a|aa)+$"])
def test_patterns_that_must_not_be_used(tmp_path, pattern, monkeypatch):
    monkeypatch.setattr("napari_samri.datasets.patterns.SECONDS", 0.01)
    touch(tmp_path, f"{'a' * 90}b_img.nii", f"{'a' * 90}b_seg.nii")
    with pytest.raises(InputError, match="the pattern for patients"):
        prepare(tmp_path, patient_pattern=pattern)


def people(names):
    return {name: person for name, (person, _) in people_of(names)[0].items()}


def test_frames_are_of_one_patient():
    names = [f"patient{n:03}_frame{k:02}" for n in range(5) for k in (1, 12)]
    found, notes = people_of(names)
    assert {person for person, _ in found.values()} == {f"patient{n:03}" for n in range(5)}
    assert found["patient003_frame12"] == ("patient003", ("frame",))
    assert not notes


@pytest.mark.parametrize("stem", ["case_", "MRI_scan_", "liver_", "BRATS_", "brain_slice_", "v"])
def test_a_numbered_data_set_is_not_one_patient(stem):
    names = [f"{stem}{n}" for n in range(1, 40)]
    assert people(names) == {name: name for name in names}


def test_what_would_leave_one_or_two_people_is_told():
    names = [f"site1_frame{n}" for n in range(20)]
    found, (note,) = people_of(names)
    assert {name: person for name, (person, _) in found.items()} == {name: name for name in names}
    assert "20 names would be of 1 patients only, such as site1" in note
    # but two patients with a few pictures each are two patients
    assert set(people(["p1_ES", "p1_ED", "p2_ES", "p2_ED"]).values()) == {"p1", "p2"}


def test_subjects_are_believed_however_few():
    names = [f"sub-1_run-{n}" for n in range(20)]
    assert set(people(names).values()) == {"sub-1"}


def test_names_without_a_number_are_told_by_their_company():
    names = [f"{who}_t{n}" for who in ("Anna", "Ben", "Cleo") for n in (0, 1)]
    assert set(people(names).values()) == {"Anna", "Ben", "Cleo"}
    found, (note,) = people_of(["heart_t0", "heart_t1"])
    assert [person for person, _ in found.values()] == ["heart_t0", "heart_t1"]
    assert "2 names would be of 1 patients only, such as heart" in note


def test_scans_are_pictures_of_some_people_and_people_of_some_data_sets():
    few = [f"p{n}_scan{k}" for n in range(5) for k in (1, 2)]
    assert set(people(few).values()) == {f"p{n}" for n in range(5)}
    days = [f"mouse{n}_d{k}" for n in range(5) for k in (0, 7)]
    assert set(people(days).values()) == {f"mouse{n}" for n in range(5)}
    many = [f"ds{n}_scan{k}" for n in range(5) for k in range(20)]
    assert people(many) == {name: name for name in many}


def test_one_spelling():
    names = ["Sub-01", "sub-01", "Zo\u00eb", "Zoe\u0308", "x"]
    assert [*one_spelling(names).values()] == ["Sub-01", "Sub-01", "Zo\u00eb", "Zo\u00eb", "x"]


def test_people_who_may_be_torn():
    sides = {"p1_a": "train", "p1_b": "test", "p2_a": "train", "p2_b": "train", "q": "test"}
    assert people_in_two_splits(sides) == [("p1_a", "p1_b")]
    assert people_in_two_splits({"p1a": "train", "p1b": "test", "q": "test"}) == [("p1a", "p1b")]


@pytest.mark.parametrize("stem", ["case_", "Dataset27_", "BraTS20_Training_"])
def test_numbered_people_are_not_suspected(stem):
    assert not people_in_two_splits({f"{stem}{n}": ("train", "test")[n % 2] for n in range(5)})

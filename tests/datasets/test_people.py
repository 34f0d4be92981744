"""Who is who, told from all names of a data set together."""

from __future__ import annotations

import pytest

from napari_samri.datasets.people import one_spelling, people_of, torn_people


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
    assert torn_people(sides) == [("p1_a", "p1_b")]
    assert torn_people({"p1a": "train", "p1b": "test", "q": "test"}) == [("p1a", "p1b")]


@pytest.mark.parametrize("stem", ["case_", "Dataset27_", "BraTS20_Training_"])
def test_numbered_people_are_not_suspected(stem):
    assert not torn_people({f"{stem}{n}": ("train", "test")[n % 2] for n in range(5)})

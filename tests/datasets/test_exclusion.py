"""No picture on both sides of a split."""

from __future__ import annotations

import pytest

from napari_samri.datasets import Region, SliceEntry, Study
from napari_samri.datasets.exclusion import REPEATED, Duplicates, shared_with_zero_shot
from napari_samri.datasets.sources import Entry

REGION = Region(1, 30, (0, 0, 5, 5), 1)


def study(image, slices, patient="p", shape=(9, 10, 12)):
    """Return a study of (picture, labels) slices."""
    entries = tuple(
        SliceEntry(n, picture, labels, (REGION,)) for n, (picture, labels) in enumerate(slices)
    )
    return Study("set", patient, "train", image, f"{image}_seg", 0, shape, (1.0, 1.0, 1.0), entries)


def admitted(*studies):
    duplicates = Duplicates()
    return [duplicates.admit(each) for each in studies], duplicates


def test_different_pictures():
    studies = [study("a", [("1", "x"), ("2", "x")]), study("b", [("3", "x")], "q")]
    found, duplicates = admitted(*studies)
    assert found == studies
    assert not duplicates.problems
    assert not +duplicates.left_out


def test_the_same_study_twice():
    slices = [("1", "x"), ("2", "y")]
    found, duplicates = admitted(study("a", slices), study("b", slices))
    assert found[1] is None
    (problem,) = duplicates.problems
    assert problem.startswith("set: b: 2 of its 2 slices are, image and labels, those of set: a;")
    assert "the study is left out" in problem


def test_some_slices_twice():
    found, duplicates = admitted(
        study("a", [("1", "x"), ("2", "y")]), study("b", [("2", "y"), ("3", "y")])
    )
    assert [entry.image_hash for entry in found[1].slices] == ["3"]
    assert duplicates.left_out == {REPEATED: 1}
    assert "1 of its 2 slices" in duplicates.problems[0]
    assert "these slices are left out" in duplicates.problems[0]


def test_two_label_sets_of_one_image():
    studies = [study("a", [("1", "x")]), study("b", [("1", "y")])]
    found, duplicates = admitted(*studies)
    assert found == studies
    assert not duplicates.problems
    third = duplicates.admit(study("c", [("1", "y")]))
    assert third is None


@pytest.mark.parametrize("labels", ["x", "y"])
def test_one_picture_of_two_people(labels):
    found, duplicates = admitted(
        study("a", [("1", "x")], "p"), study("b", [("2", "x"), ("1", labels)], "q")
    )
    assert found[1] is None
    (problem,) = duplicates.problems
    assert "set: b: 1 of its 2 slices show the same image as set: a" in problem
    assert "called q and p" in problem
    assert "by a pattern or in a CSV" in problem


def test_what_was_refused_is_forgotten():
    """A third study that shares a picture with a refused one only is fine."""
    found, _ = admitted(
        study("a", [("1", "x")], "p"),
        study("b", [("1", "x"), ("2", "x")], "q"),
        study("c", [("2", "x")], "r"),
    )
    assert [each is not None for each in found] == [True, False, True]


def test_slices_that_repeat_within_a_study_are_counted():
    found, duplicates = admitted(study("a", [("1", "x"), ("1", "x"), ("1", "y")]))
    assert [entry.index for entry in found[0].slices] == [0, 2]
    assert duplicates.left_out == {REPEATED: 1}
    assert not duplicates.problems


def test_the_same_hash_of_another_shape():
    _, duplicates = admitted(
        study("a", [("1", "x")], "p"), study("b", [("1", "x")], "q", (9, 12, 10))
    )
    assert not duplicates.problems


def entry(dataset, patient):
    return Entry(dataset, patient, "i", "l", None)


def test_patients_shared_with_zero_shot():
    entries = [entry("new", "p"), entry("old", "p"), entry("old", "p"), entry("old", "q")]
    excluded, problems = shared_with_zero_shot(entries, {"new"})
    assert excluded == {("old", "p")}
    (problem,) = problems
    assert problem.startswith("old: the patient p is in the zero-shot data set new too, so 2 of")
    assert shared_with_zero_shot(entries, set()) == (set(), [])
    assert shared_with_zero_shot(entries, {"new", "old"}) == (set(), [])

"""The user's own patterns for patients."""

from __future__ import annotations

import pytest

from napari_samri.datasets import patterns
from napari_samri.datasets.patterns import PatientPatterns
from napari_samri.errors import InputError


@pytest.mark.parametrize(
    ("pattern", "patient"),
    [
        (r"(?P<patient>p\d+)", "p1"),
        (r"(set)/(?P<patient>p\d+)", "p1"),
        (r"/(p\d+)_(\d)", "p1"),
        (r"p\d+", "p1"),
        ("(x)?p1", "p1"),
        (["nothing", "_(2)"], "2"),
    ],
)
def test_groups(pattern, patient):
    assert PatientPatterns.of(pattern).patient("set/p1_2.nii") == patient


@pytest.mark.parametrize("pattern", ["q", "x*", "(?P<patient>q)?p1", r"( )?\Z"])
def test_what_says_nothing_is_no_match(pattern):
    """An empty name would make one patient of all."""
    with pytest.raises(InputError, match="no pattern for patients matches"):
        PatientPatterns.of(pattern).patient("set/p1_2.nii")


@pytest.mark.parametrize("pattern", ["(", "[", "(?P<patient", "*", "a" * 2000, "(" * 900])
def test_no_patterns(pattern):
    with pytest.raises(InputError, match="the pattern for patients"):
        PatientPatterns.of(pattern)


def test_patterns_that_take_for_ever(monkeypatch):
    """They end the whole: the next name would take as long."""
    monkeypatch.setattr(patterns, "SECONDS", 0.01)
    with pytest.raises(patterns.PatternError, match="a repetition inside of another"):
        PatientPatterns.of("(a|aa)+$").patient("a" * 100 + "b")


def test_decomposed_names():
    assert PatientPatterns.of("^(.o\u00eb)").patient("Zoe\u0308_1") == "Zo\u00eb"

"""What names say: as public data sets write them, and as other people must not be merged."""

from __future__ import annotations

import unicodedata

import pytest

from napari_samri.datasets.name_parts import has_number, read_name, says_no_person


@pytest.mark.parametrize(
    ("name", "person", "parts"),
    [
        ("patient001_frame01", "patient001", ("frame",)),
        ("patient001_4d", "patient001", ("time series",)),
        ("001_SA_ED", "001", ("heart's phase", "view")),
        ("A0S9V9_ES", "A0S9V9", ("heart's phase",)),
        ("p1_end_diastole", "p1", ("heart's phase",)),
        ("BraTS-GLI-00003-001", "BraTS-GLI-00003", ("time point",)),
        ("BraTS-GLI-00003-001-t1n", "BraTS-GLI-00003", ("contrast", "time point")),
        ("BraTS19_CBICA_AAB_1", "BraTS19_CBICA_AAB", ("visit",)),
        ("Brats18_2013_10_1", "Brats18_2013_10", ("visit",)),
        ("p01_t0", "p01", ("time point",)),
        ("p01_tp1", "p01", ("time point",)),
        ("p01_timepoint-2", "p01", ("time point",)),
        ("p01_time_point_2", "p01", ("time point",)),
        ("p01_T1", "p01", ("contrast",)),
        ("p01_t1ce", "p01", ("contrast",)),
        ("p01_ses-2_T1w", "p01", ("BIDS entity", "contrast")),
        ("sub-01_ses-1_T1w", "sub-01", ("subject",)),
        ("ses-1_sub-01_T1w", "sub-01", ("subject",)),
        ("sub-01.ses-1_T1", "sub-01", ("subject",)),
        ("sub-A-7_T1w", "sub-A-7", ("subject",)),
        ("sub-01-ses-1", "sub-01", ("subject",)),
        ("Anna_session2", "Anna", ("session",)),
        ("p01_visit_3", "p01", ("visit",)),
        ("Subject 1 visit 2", "Subject 1", ("visit",)),
        ("9000099_V01_LEFT", "9000099", ("side", "visit")),
        ("p01_L", "p01", ("side",)),
        ("p01R", "p01", ("side",)),
        ("left_p01", "p01", ("side",)),
        ("p01_run-1", "p01", ("BIDS entity",)),
        ("p01_echo2", "p01", ("echo",)),
        ("p01_e2", "p01", ("echo",)),
        ("p01_slab3", "p01", ("slab",)),
        ("p01_slice_012", "p01", ("slice",)),
        ("UCSF-PDGM-0004_FU001d", "UCSF-PDGM-0004", ("follow-up",)),
        ("p01_baseline", "p01", ("follow-up",)),
        ("Patient-042-week-000-1", "Patient-042", ("follow-up",)),
        ("p01_20190412", "p01", ("date",)),
        ("p01_2019-04-12", "p01", ("date",)),
        ("OAS1_0001_MR2", "OAS1_0001", ("OASIS' number",)),
        ("OAS30001_MR_d0129", "OAS30001", ("OASIS' number",)),
        ("ADNI_002_S_0295_MR_Br_20060418", "002_S_0295", ("ADNI's number",)),
        ("1000123_20252_2_0", "1000123", ("UK Biobank's number",)),
        ("10417_1000424", "10417", ("PI-CAI's number",)),
    ],
)
def test_pictures_of_a_person(name, person, parts):
    found = read_name(name)
    assert found.person == person
    assert set(found.parts) == set(parts)


@pytest.mark.parametrize(
    "name",
    [
        *("case_1", "liver_001", "BRATS_001", "prostate_00", "hippocampus_123", "la_003", "Case00"),
        *("1000123", "20010512", "BraTS20_Training_001", "BraTS2021_00000", "amos_0001"),
        *("IXI002-Guys-0828", "sct_t1_cord", "sct_t2s_gm", "case_00000", "p1_liver", "mouse_fvb1"),
        *("UPENN-GBM-00001", "site1_001", "cage3_m2", "ds1_scan_4", "MRI_scan_1", "A", ""),
        # A part alone is the name.
        *("frame_01", "T1", "left", "ses-1", "scan_1", "slice_003", "ED", "2019-04-12"),
    ],
)
def test_names_that_stay_whole(name):
    assert read_name(name).person == name
    assert read_name(name).parts == ()


def test_capitals_and_forms_of_unicode():
    name = "Zo\u00eb_FRAME01"
    assert read_name(unicodedata.normalize("NFD", name)).person == "Zo\u00eb"


@pytest.mark.parametrize("name", ["ses-1", "T1", "left", "ED", "frame01", "visit2", "baseline"])
def test_parts_that_are_no_person(name):
    assert says_no_person(name)
    assert not says_no_person(f"p1_{name}")


def test_numbers():
    assert has_number("p1")
    assert not has_number("sct_t2s_T1w")
    assert not has_number("")

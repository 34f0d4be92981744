"""Series as scanners and archives leave them: rounded, mixed up, damaged."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread

from napari_samri import load_volume, save_labels
from napari_samri.errors import GeometryError, InputError, InputWarning
from tests.io.test_dicom import AXIAL, OBLIQUE, SAGITTAL, make_series, make_slice

if TYPE_CHECKING:
    from pathlib import Path

START = np.array([-20.0, -30, 40])


def rounded_series(folder: Path, gaps: np.ndarray, directions, decimals: int) -> np.ndarray:
    """Write slices at exact places whose positions are rounded; return the exact ones, LPS+."""
    folder.mkdir()
    normal = np.cross(directions[:3], directions[3:])
    exact = START + np.concatenate([[0], np.cumsum(gaps)])[:, None] * normal
    for k in np.random.default_rng(1).permutation(len(exact)):
        pixels = np.full((6, 7), 10 * (int(k) + 1))
        image = make_slice(
            np.round(exact[k], decimals),
            pixels,
            "1.2.3.4",
            InstanceNumber=int(k) + 1,
            ImageOrientationPatient=list(directions),
        )
        image.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
    return exact


def off_mm(volume, exact: np.ndarray) -> float:
    """Return how far a slice's first pixel lies from its exact place, at most."""
    inverse = np.linalg.inv(volume.affine)
    off = []
    for k, place in enumerate(exact):
        index = inverse @ (*(place * (-1, -1, 1)), 1)
        assert volume.array[tuple(np.rint(index[:3]).astype(int))] == 10 * (k + 1)
        off.append(np.linalg.norm(volume.affine[:3, :3] @ (index[:3] - np.rint(index[:3]))))
    return max(off)


@pytest.mark.parametrize(
    "directions", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"]
)
@pytest.mark.parametrize(
    ("gap", "count", "decimals"),
    [(1.2049, 60, 2), (1 / 3, 60, 2), (10.047, 25, 1), (2.996, 30, 1), (0.75, 2, 2), (3, 2, 4)],
)
def test_rounded_positions_are_spread_from_the_first_to_the_last(
    tmp_path, directions, gap, count, decimals
):
    exact = rounded_series(tmp_path / "s", np.full(count - 1, gap), directions, decimals)
    volume = load_volume(tmp_path / "s")
    rounding = np.sqrt(3) / 2 * 10**-decimals
    assert off_mm(volume, exact) <= 1.01 * rounding + 1e-3
    assert abs(volume.spacing_mm[0] - gap) <= 2 * rounding / (count - 1) + 0.002 * gap
    save_labels(tmp_path / "l.nii", volume.array, volume)  # on the same grid in its header
    np.testing.assert_array_equal(load_volume(tmp_path / "l.nii").grid.affine, volume.grid.affine)


def test_each_position_is_checked_to_a_tenth_of_the_gap(tmp_path):
    for share, wrong in ((0.09, False), (0.11, True)):
        gaps = np.full(9, 4.0)
        gaps[4], gaps[5] = 4 * (1 + share), 4 * (1 - share)  # one slice is off
        exact = rounded_series(tmp_path / f"{share}", gaps, AXIAL, 4)
        if wrong:
            with pytest.raises(GeometryError, match=r"4 mm apart.*005\.dcm lies 0\.44 mm.*0\.4 mm"):
                load_volume(tmp_path / f"{share}")
        else:
            assert off_mm(load_volume(tmp_path / f"{share}"), exact) == pytest.approx(
                4 * share, abs=0.01
            )


def test_a_slice_that_lies_aside_is_refused(tmp_path):
    """By 2 mm in the plane: far along the stack, its direction from the first hardly turns."""
    rounded_series(tmp_path / "s", np.full(39, 3.0), AXIAL, 4)
    change(tmp_path / "s", 30, ImagePositionPatient=[-18, -30, 130])
    with pytest.raises(GeometryError, match=r"030\.dcm lies 2 mm"):
        load_volume(tmp_path / "s")


def change(folder: Path, number: int | None, **values) -> None:
    """Change one slice, or all of them; None takes an attribute away."""
    for path in sorted(folder.iterdir()):
        if number is None or path.stem == f"{number:03d}":
            image = dcmread(path)
            for name, value in values.items():
                if value is None:
                    delattr(image, name)
                else:
                    setattr(image, name, value)
            image.save_as(path)


REFUSED = {
    "Columns": 11,
    "FrameOfReferenceUID": "1.2.99",
    "ImageOrientationPatient": [1, 0, 0, 0, 0.99999, 0.004],
    "Modality": "CT",
    "PatientBirthDate": "19700101",
    "PatientID": "secret-2",
    "PatientName": "Secret^Other",
    "PatientPosition": "FFS",
    "PhotometricInterpretation": "MONOCHROME1",
    "PixelRepresentation": 1,
    "PixelSpacing": [1.501, 1.25],
    "StudyInstanceUID": "1.2.98",
}


@pytest.mark.parametrize("name", REFUSED)
def test_slices_that_disagree_are_refused_by_name_and_value(tmp_path, name):
    make_series(tmp_path / "s", order=range(6))
    change(
        tmp_path / "s",
        None,
        PatientID="secret-1",
        PatientBirthDate="19690101",
        PatientPosition="HFS",
    )
    change(tmp_path / "s", 3, **{name: REFUSED[name]})
    with pytest.raises(InputError, match=rf"s: {name} differs.* 003\.dcm") as caught:
        load_volume(tmp_path / "s")
    text = str(caught.value).lower()
    assert "secret" not in text
    assert "1970" not in text
    if name in {"Modality", "PhotometricInterpretation"}:
        assert REFUSED[name].lower() in text


TOLD = {
    "RescaleSlope": 2,
    "RescaleIntercept": -5,
    "ImageType": ["ORIGINAL", "PRIMARY", "NORM"],
    "SliceThickness": 4,
}


@pytest.mark.parametrize("name", TOLD)
def test_what_differs_without_harm_is_told(tmp_path, name):
    pixels = make_series(tmp_path / "s", order=range(6)).astype(float)
    change(tmp_path / "s", None, RescaleSlope=1, RescaleIntercept=0)
    change(tmp_path / "s", 3, **{name: TOLD[name]})
    pixels[3] = pixels[3] * (2 if name == "RescaleSlope" else 1) - 5 * (name == "RescaleIntercept")
    with pytest.warns(InputWarning, match=f"{name} differs"):
        volume = load_volume(tmp_path / "s")
    found = {round(float(part.sum())) for part in volume.array}
    assert found == {round(float(part.sum())) for part in pixels}


def test_small_differences_and_ways_of_writing_a_name_are_none(tmp_path):
    make_series(tmp_path / "s", order=range(6))
    change(
        tmp_path / "s",
        3,
        PixelSpacing=[1.50001, 1.25],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0.00005],
        PatientName="SOME^Body^^",
    )
    assert load_volume(tmp_path / "s").array.shape == (6, 10, 12)


def test_an_attribute_that_some_slices_lack_is_told(tmp_path):
    make_series(tmp_path / "s", order=range(6))
    change(tmp_path / "s", 3, FrameOfReferenceUID=None)
    with pytest.warns(InputWarning, match=r"FrameOfReferenceUID is missing in 003\.dcm"):
        load_volume(tmp_path / "s")


SENSELESS = [
    ("RescaleSlope", "0"),
    ("RescaleSlope", "1e-60"),
    ("RescaleIntercept", "1e60"),
    ("PixelSpacing", ["-1.5", "1.25"]),
    ("PixelSpacing", ["0", "1.25"]),
    ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
    ("ImageOrientationPatient", [2, 0, 0, 0, 1, 0]),
    ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
    ("PhotometricInterpretation", "PALETTE COLOR"),
]


@pytest.mark.parametrize(("name", "value"), SENSELESS)
@pytest.mark.parametrize("number", [None, 3], ids=["all", "one"])
def test_values_without_sense_are_refused_by_name_and_file(tmp_path, name, value, number):
    make_series(tmp_path / "s", order=range(6))
    change(tmp_path / "s", number, **{name: value})
    with pytest.raises(InputError, match=rf"s: {name} is .* in 00[03]\.dcm; expected"):
        load_volume(tmp_path / "s")


def test_inverted_series_keep_their_values_and_say_so(tmp_path):
    pixels = make_series(tmp_path / "s", order=range(6))
    change(tmp_path / "s", None, PhotometricInterpretation="MONOCHROME1")
    with pytest.warns(InputWarning, match="MONOCHROME1: low values"):
        volume = load_volume(tmp_path / "s")
    assert sorted(volume.array.ravel()) == sorted(pixels.ravel())


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def no_head(path: Path) -> None:
    path.write_bytes(b"\xfe" * 140 + path.read_bytes()[140:])


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone"))


@pytest.mark.parametrize("damage", [nothing, no_head, dangling])
@pytest.mark.parametrize(
    "name", ["{:04d}", "IM-0001-{:04d}", "1.2.840.{}", "MR{}.mr", "{:03d}.DCM"]
)
def test_a_damaged_slice_is_refused_whatever_its_name(tmp_path, damage, name):
    make_series(tmp_path / "s", count=5, order=range(5))
    for number, path in enumerate(sorted((tmp_path / "s").iterdir())):
        path.rename(path.with_name(name.format(number)))
    bad = tmp_path / "s" / name.format(2)
    damage(bad)
    with pytest.raises(InputError, match=rf"{bad.name}.*(fresh copy)"):
        load_volume(tmp_path / "s")


@pytest.mark.parametrize("name", ["003.dcm.part", "008.DCM.crdownload"])
def test_a_download_that_broke_off_is_refused(tmp_path, name):
    make_series(tmp_path / "s", count=3)
    (tmp_path / "s" / name).write_bytes(b"DICM")
    with pytest.raises(InputError, match=name):
        load_volume(tmp_path / "s")


def test_what_cannot_be_told_is_warned_of_and_what_is_no_dicom_is_not(tmp_path):
    pixels = make_series(tmp_path / "s", count=3)
    for name in (
        "notes.txt",
        "a.nii",
        "a.json",
        "Thumbs.db",
        "picture.jpg",
        ".DS_Store",
        "DICOMDIR",
    ):
        (tmp_path / "s" / name).write_bytes(b"\x00\x01\xff")
    (tmp_path / "s" / "README").write_text("Zwölf Schichten\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_volume(tmp_path / "s").array.shape == pixels.shape
    (tmp_path / "s" / "leftover").write_bytes(b"\x00\x01\xff")
    with pytest.warns(InputWarning, match=r"leftover: .*skipped"):
        load_volume(tmp_path / "s")


def test_defaults_of_the_converter_do_not_count(tmp_path, monkeypatch):
    """A file in the home folder would have it scale the voxels, to use all of 16 bits."""
    pixels = make_series(tmp_path / "s", count=3)
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "isGZ=0\nisMaximize16BitRange=1\nisBIDS=1\nfilename=%p\n"
    (tmp_path / ".dcm2nii.ini").write_text(text)
    volume = load_volume(tmp_path / "s")
    assert volume.array.dtype == np.uint16
    assert sorted(volume.array.ravel()) == sorted(pixels.ravel())

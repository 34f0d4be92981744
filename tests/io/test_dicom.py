"""DICOM folders: one regular series is read as dcm2niix reads it, all else refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from napari_samri import load_volume, save_labels
from napari_samri.errors import GeometryError, InputError

SPACING_MM = (1.5, 1.25)  # between rows, between columns
AXIAL, SAGITTAL = (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)


def make_slice(position, pixels, series, **changes):
    """Return an MR image; `position` is that of its first pixel, in DICOM's LPS+ mm."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MRImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = f"{series[:60]}.1", series
    image.FrameOfReferenceUID = f"{series[:60]}.2"
    image.Modality, image.Manufacturer, image.SeriesNumber = "MR", "made up", 1
    image.PatientName = "Some^Body"
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.ImageOrientationPatient = list(AXIAL)
    image.ImagePositionPatient = [float(v) for v in position]
    image.PixelSpacing = list(SPACING_MM)
    image.SliceThickness = 2
    image.Rows, image.Columns = pixels.shape[:2]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    image.PixelData = pixels.astype("<u2").tobytes()
    for name, value in changes.items():
        setattr(image, name, value)
    return image


def normal(directions):
    return np.cross(directions[:3], directions[3:])


def make_series(folder, count=6, directions=AXIAL, gap_mm=3.0, shape=(10, 12), order=None):
    """Write a series in an order of names that is not that of space; return its pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 1000, (count, *shape))
    series = generate_uid()
    order = rng.permutation(count) if order is None else order
    for name, k in enumerate(order):
        position = np.array([-20, -30, 40]) + k * gap_mm * normal(directions)
        image = make_slice(
            position,
            pixels[k],
            series,
            InstanceNumber=int(k) + 1,
            ImageOrientationPatient=list(directions),
        )
        image.save_as(folder / f"{name:03d}.dcm", enforce_file_format=True)
    return pixels


def world_mm(directions, k, row, column, gap_mm=3.0):
    """Return where DICOM says a pixel lies, in RAS+ mm (part 3, C.7.6.2.1.1)."""
    across, down = np.array(directions[:3]), np.array(directions[3:])
    start = np.array([-20, -30, 40]) + k * gap_mm * normal(directions)
    lps = start + column * SPACING_MM[1] * across + row * SPACING_MM[0] * down
    return lps * (-1, -1, 1)


OBLIQUE = tuple(np.linalg.qr(np.array([[1, 0.2, 0], [0.1, 1, 0.3], [0, 0, 1.0]]))[0].T[:2].ravel())


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, (1, 0, 0, 0, 0, -1), OBLIQUE])
def test_a_made_up_series_has_each_pixel_where_dicom_says(tmp_path, directions):
    pixels = make_series(tmp_path / "s", directions=directions)
    volume = load_volume(tmp_path / "s")
    assert volume.spatial_shape[0] == len(pixels)
    for k, row, column in np.ndindex(pixels.shape):
        world = (*world_mm(directions, k, row, column), 1)
        shown = np.linalg.solve(volume.affine, world)[:3]
        np.testing.assert_allclose(shown, shown.round(), atol=1e-3)
        assert volume.array[tuple(shown.round().astype(int))] == pixels[k, row, column]


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL])
def test_isotropic_series_keep_their_slices(tmp_path, directions):
    """The spacing does not tell the slice axis here; how the series was stored does."""
    make_series(tmp_path / "s", directions=directions, gap_mm=1.3)
    assert load_volume(tmp_path / "s").spatial_shape[0] == 6


def test_other_files_in_the_folder_do_not_matter(tmp_path):
    pixels = make_series(tmp_path / "s")
    (tmp_path / "s" / "notes.txt").write_text("notes")
    (tmp_path / "s" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "s" / "more").mkdir()
    assert load_volume(tmp_path / "s").array.shape == pixels.shape


def test_labels_of_a_series_lie_on_it_and_name_nobody(tmp_path):
    make_series(tmp_path / "s")
    volume = load_volume(tmp_path / "s")
    save_labels(tmp_path / "l.nii", volume.array > 500, volume)
    back = load_volume(tmp_path / "l.nii")
    np.testing.assert_allclose(back.grid.affine, volume.grid.affine)
    assert np.array_equal(back.grid.shape, volume.grid.shape)
    assert np.array_equal(back.to_stored(back.array), volume.to_stored(volume.array > 500))
    assert volume.grid.path == tmp_path / "s"
    assert b"Some" not in (tmp_path / "l.nii").read_bytes() + volume.grid.header


def change_one(folder, **changes):
    """Change a slice in the middle of the stack."""
    from pydicom import dcmread

    path = sorted(folder.glob("*.dcm"))[0]
    image = dcmread(path)
    for name, value in changes.items():
        setattr(image, name, value)
    image.save_as(path)


def middle_missing(folder):
    make_series(folder, order=[0, 1, 2, 4, 5])


def sheared(folder):
    series = generate_uid()
    folder.mkdir()
    for k in range(5):
        image = make_slice((k * 2.0, 0, k * 3.0), np.ones((10, 12)), series, InstanceNumber=k + 1)
        image.save_as(folder / f"{k}.dcm", enforce_file_format=True)


def with_two_series(folder):
    make_series(folder / "one")
    make_series(folder)
    for path in (folder / "one").iterdir():
        path.rename(folder / f"other-{path.name}")


def changed(**changes):
    def make(folder):
        make_series(folder, order=[2, 0, 1, 3, 4, 5])
        change_one(folder, **changes)

    make.__qualname__ = " ".join(changes)
    return make


def echoes(folder):
    make_series(folder)
    for path in list(folder.iterdir()):
        path.with_name("echo-" + path.name).write_bytes(path.read_bytes())


def one_slice(folder):
    make_series(folder, count=1)


def truncated(folder):
    make_series(folder)
    path = folder / "000.dcm"
    path.write_bytes(path.read_bytes()[:-40])


def cut_in_the_header(folder):
    """The last slice: without it, a regular but shorter stack would be left."""
    make_series(folder, order=range(6))
    path = folder / "005.dcm"
    path.write_bytes(path.read_bytes()[:700])


def garbage_named_dcm(folder):
    make_series(folder, order=range(5))
    (folder / "005.dcm").write_bytes(bytes(1000))


def empty(folder):
    folder.mkdir()


REFUSED = {
    middle_missing: "evenly spaced",
    sheared: "evenly spaced",
    with_two_series: "2 series",
    echoes: "same position",
    one_slice: "one slice",
    truncated: "dcm2niix",
    cut_in_the_header: r"005\.dcm",
    garbage_named_dcm: r"005\.dcm",
    empty: "no DICOM",
    changed(ImageOrientationPatient=list(SAGITTAL)): "orientations",
    changed(NumberOfFrames=2): "2 frames",
    changed(SamplesPerPixel=3): "colour",
    changed(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]): "mosaic",
    changed(ImagePositionPatient=None): "where it lies",
    changed(PixelSpacing=None): "where it lies",
    changed(ImagePositionPatient=[0, 0, 43.5]): "evenly spaced",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__qualname__)
def test_irregular_series_are_refused_with_the_reason(tmp_path, make):
    make(tmp_path / "series")
    with pytest.raises(InputError, match=rf"{tmp_path}/series.*{REFUSED[make]}"):
        load_volume(tmp_path / "series")


def test_a_single_dicom_file_is_answered_with_its_folder(tmp_path):
    make_series(tmp_path / "series")
    with pytest.raises(InputError, match=r"000\.dcm: one DICOM file; expected the folder"):
        load_volume(tmp_path / "series" / "000.dcm")


def test_a_claim_of_huge_slices_is_refused_before_conversion(tmp_path):
    series, folder = generate_uid(), tmp_path / "series"
    folder.mkdir()
    for k in range(3):
        image = make_slice((0, 0, k), np.ones((4, 4)), series, Rows=60000, Columns=60000)
        image.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"series.*max_voxels="):
        load_volume(folder)
    make_series(tmp_path / "small")
    with pytest.raises(InputError, match=r"small.*max_voxels="):
        load_volume(tmp_path / "small", max_voxels=100)


def test_files_of_other_classes_without_pictures_are_passed_over(tmp_path):
    pixels = make_series(tmp_path / "s")
    report = make_slice((0, 0, 0), np.ones((4, 4)), generate_uid())
    del report.Rows, report.Columns, report.PixelData
    report.preamble = bytes(128)
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"  # Basic Text SR Storage
    report.save_as(tmp_path / "s" / "report.dcm", enforce_file_format=False)
    assert load_volume(tmp_path / "s").array.shape == pixels.shape
    report.SOPClassUID = CTImageStorage
    report.save_as(tmp_path / "s" / "report.dcm", enforce_file_format=False)
    with pytest.raises(InputError, match=r"report\.dcm"):
        load_volume(tmp_path / "s")


@pytest.mark.filterwarnings("ignore::napari_samri.errors.InputWarning")
def test_damaged_headers_are_read_whole_or_refused(tmp_path):
    rng = np.random.default_rng(3)
    pixels = make_series(tmp_path / "s", count=3)
    path = tmp_path / "s" / "001.dcm"
    good = path.read_bytes()
    header = good.index(b"\xe0\x7f\x10\x00")  # where the pixels begin
    refused = 0
    for _ in range(60):
        bad = bytearray(good)
        for place in rng.integers(128, header, rng.choice([1, 4, 12])):
            bad[place] = rng.integers(256)
        path.write_bytes(bad)
        try:
            volume = load_volume(tmp_path / "s")
        except InputError as error:
            assert str(tmp_path / "s") in str(error)  # noqa: PT017  # both outcomes are fine
            refused += 1
        else:
            assert volume.array.shape == pixels.shape
    assert refused


# --- real series, where they are ----------------------------------------------------------------

REGULAR = [
    "d2n_hitachi_shoulder",
    "d2n_j2k_noise",
    "d2n_jpeglossless_noise",
    "d2n_jpegls_noise",
    "d2n_philips_anat_oblique_noise",
    "d2n_rle_noise",
    "d2n_uncompressed_noise",
    "d2n_varying_slope_noise",
    "ge_brain_pd_oblique",
    "hippocrop_study1",
    "prostatex0001_adc",
    "prostatex0001_loc_sag_3slices",
]
IRREGULAR = {
    "broken/d2n_two_orientations_in_series": "orientations",
    "broken/prostatex0001_missing_slices": "missing",
    "dicom/d2n_ge_fmri_noise": "same position",
    "dicom/d2n_hyperfine_noise": "frames",
    "dicom/d2n_philips_enhanced_fmri_noise": "frames",
    "dicom/d2n_philips_enhanced_noise": "frames",
    "dicom/d2n_philips_fmri_noise": "same position",
    "dicom/d2n_rgb_overlay": "colour",
    "dicom/d2n_siemens_multiframe_noise": "frames",
    "dicom/ge_knee_mese_multiecho": "echoes",
    "dicom/prostatex0001_dwi_3b_in_one_series": "b-values",
    "dicom/prostatex0001_localizer_3planes": "localizer",
    "dicom/pydicom_emri": "frames",
    "dicom/pydicom_mr_small": "same position",
    "dicom/siemens_mosaic_ax": "mosaic",
    "dicom/siemens_mosaic_cor": "mosaic",
    "dicom/siemens_mosaic_transfer_syntaxes": "mosaic",
}


# Its positions are rounded, and dcm2niix takes the first gap for all: 0.17 mm at the far end.
ROUNDED_MM = {"ge_brain_pd_oblique": 0.2}


@pytest.mark.filterwarnings("ignore:.*Rescale.* differs:napari_samri.errors.InputWarning")
@pytest.mark.parametrize("name", REGULAR)
def test_regular_real_series_are_what_dcm2niix_makes_of_them(shared_data, name):
    reference = json.loads((shared_data / "dicom_reference.json").read_text())
    (expected,) = reference[f"dicom/{name}"]["dcm2niix"]
    volume = load_volume(shared_data / "dicom" / name)
    assert volume.spatial_shape[0] == reference[f"dicom/{name}"]["files"]
    assert sorted(volume.grid.shape) == sorted(expected["shape"])
    values = volume.array.astype(float)
    found = [values.min(), values.max(), values.mean()]
    np.testing.assert_allclose(found, [expected[n] for n in ("min", "max", "mean")], atol=1e-4)
    # The reference may store the axes in another order; the corners lie in the same places.
    mine = corners_mm(volume.affine, volume.spatial_shape)
    theirs = corners_mm(np.array(expected["affine"]), expected["shape"])
    rounding_mm = 1e-4 * max(expected["shape"]) * 2  # of the reference's affine
    for corner in mine:
        apart_mm = np.abs(theirs - corner).max(axis=1).min()
        assert apart_mm < rounding_mm + ROUNDED_MM.get(name, 0)


@pytest.mark.filterwarnings("ignore:.*Rescale.* differs:napari_samri.errors.InputWarning")
@pytest.mark.parametrize("name", REGULAR)
def test_the_ends_of_real_series_lie_where_their_headers_say(shared_data, name):
    folder = shared_data / "dicom" / name
    mine = corners_mm((volume := load_volume(folder)).affine, volume.spatial_shape)
    headers = [dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    positions = np.array([h.ImagePositionPatient for h in headers], float) * (-1, -1, 1)
    across = positions @ np.cross(
        *np.reshape(headers[0].ImageOrientationPatient, (2, 3)) * (-1, -1, 1)
    )
    for position in positions[[across.argmin(), across.argmax()]]:
        assert np.linalg.norm(mine - position, axis=1).min() < 2e-3


def corners_mm(affine, shape):
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape[:3]) - 1)
    return corners @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("name", IRREGULAR)
def test_irregular_real_series_are_refused_with_the_reason(shared_data, name):
    folder = shared_data / name
    with pytest.raises((InputError, GeometryError), match=rf"{folder.name}.*{IRREGULAR[name]}"):
        load_volume(folder)

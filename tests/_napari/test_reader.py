"""What napari gets for a path: nothing, or layers that know their grid."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_samri import load_volume
from napari_samri._napari.layers import METADATA_KEY, Reference
from napari_samri._napari.reader import contrast_limits, get_reader
from napari_samri.errors import InputError, InputWarning
from tests._napari.conftest import made_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    WriteNifti = Callable[..., Path]


def read(path: Path | list[Path]) -> list[tuple]:
    name = [str(file) for file in path] if isinstance(path, list) else str(path)
    reader = get_reader(name)
    assert reader is not None
    return reader(name)


@pytest.mark.parametrize("shape", [(9, 8, 5), (9, 8), (9, 8, 5, 3)], ids=["3D", "2D", "4D"])
def test_an_image(write_nifti: WriteNifti, shape: tuple[int, ...]) -> None:
    path = write_nifti("t1.nii.gz", made_up(shape, np.float32))
    [(data, options, kind)] = read(path)
    volume = load_volume(path)
    assert kind == "image"
    np.testing.assert_array_equal(data, volume.array)
    assert options["name"] == "t1"
    axes = ("time", "slice", "row", "column")[-data.ndim :]
    assert options["axis_labels"] == axes
    assert len(options["scale"]) == len(options["units"]) == data.ndim
    assert options["scale"][-2:] == volume.spacing_mm[-2:]
    reference = options["metadata"][METADATA_KEY]
    assert isinstance(reference, Reference)
    np.testing.assert_array_equal(reference.volume(data).affine, volume.affine)
    low, high = options["contrast_limits"]
    assert low < high


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("sub-01.ses-1_T1.nii.gz", "sub-01.ses-1_T1"),
        ("sub-01.ses-2_T1.NII", "sub-01.ses-2_T1"),
        ("2024.03.01 head.nii", "2024.03.01 head"),
    ],
)
def test_layers_keep_the_dots_of_their_files_names(
    write_nifti: WriteNifti, tmp_path: Path, file: str, name: str
) -> None:
    write_nifti(file.lower(), made_up((9, 8, 5), np.int16)).rename(tmp_path / file)
    [(_, options, _)] = read(tmp_path / file)
    assert options["name"] == name


@pytest.mark.parametrize(
    ("name", "intent", "dtype", "expected"),
    [
        ("a.nii.gz", "label", np.uint8, "labels"),
        ("a.nii", "label", np.uint16, "labels"),
        ("sub-01_dseg.nii.gz", None, np.uint8, "labels"),
        ("sub-01_desc-brain_mask.nii", None, np.int16, "labels"),
        ("a-seg.nii", None, np.int32, "labels"),
        ("A_SEG.NII.GZ", None, np.uint8, "labels"),
        ("a_label.nii", None, np.uint8, "labels"),
        ("labels.nii.gz", None, np.uint8, "labels"),
        ("a_seg.nii.gz", None, np.float32, "labels"),
        ("a.nii.gz", "label", np.float64, "labels"),
        ("a.Mask.nii.gz", None, np.float64, "labels"),
        ("a.nii.gz", None, np.float32, "image"),
        ("a.nii.gz", None, np.uint8, "image"),
        ("segment.nii", None, np.uint8, "image"),
        ("unmask.nii", None, np.uint8, "image"),
        ("a_seg_t1.nii", None, np.uint8, "image"),
    ],
)
def test_labels_or_image(
    write_nifti: WriteNifti, name: str, intent: str | None, dtype: type, expected: str
) -> None:
    [(data, options, kind)] = read(write_nifti(name, made_up(dtype=dtype), intent))
    assert kind == expected
    floats = kind == "labels" and np.dtype(dtype).kind == "f"
    assert data.dtype == (np.uint16 if floats else dtype)
    assert np.array_equal(np.unique(data), [0, 1, 2, 3])
    assert ("contrast_limits" in options) == (expected == "image")


def test_marked_files_of_other_values_open_as_images_with_the_reason(
    write_nifti: WriteNifti,
) -> None:
    soft = made_up(dtype=np.float32)
    soft[2, 1, 3] = 0.5
    with pytest.warns(InputWarning, match=r"a_seg\.nii.*image, because.*0\.5 at slice"):
        [(data, _, kind)] = read(write_nifti("a_seg.nii", soft))
    assert kind == "image"
    assert data.dtype == np.float32


def test_labels_can_be_painted_on_and_images_cannot(write_nifti: WriteNifti) -> None:
    [(labels, _, _)] = read(write_nifti("a_seg.nii", made_up()))
    [(image, _, _)] = read(write_nifti("a.nii", made_up()))
    labels[0] = 7
    assert not image.flags.writeable


def test_one_layer_per_file_of_a_list(write_nifti: WriteNifti) -> None:
    paths = [write_nifti("b.nii", made_up()), write_nifti("a_seg.nii", made_up())]
    assert [(options["name"], kind) for _, options, kind in read(paths)] == [
        ("b", "image"),
        ("a_seg", "labels"),
    ]


def test_a_list_with_one_that_is_not_ours_is_not_ours(
    write_nifti: WriteNifti, tmp_path: Path
) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("notes")
    assert get_reader([str(write_nifti("b.nii", made_up())), str(other)]) is None
    assert get_reader([]) is None


@pytest.mark.parametrize("name", ["notes.txt", "picture.png", "a.dcm", "1.2.840", "a.gz"])
def test_a_file_of_other_content_is_not_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("only text")
    assert get_reader(str(tmp_path / name)) is None


@pytest.mark.parametrize("name", ["missing.nii", "missing", "a\0b.nii", "~nobody-here/a.nii"])
def test_what_is_not_there_is_not_ours(tmp_path: Path, name: str) -> None:
    assert get_reader(str(tmp_path / name)) is None
    assert get_reader(name) is None


def test_a_file_that_is_only_named_like_nifti_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_text("only text")
    with pytest.raises(InputError, match=r"a\.nii\.gz: not a NIfTI file"):
        read(path)
    path.write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(InputError, match=r"a\.nii\.gz: .*gzip"):
        read(path)


def test_folders_without_dicom_are_not_ours(tmp_path: Path) -> None:
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden.dcm").write_text("hidden")
    (tmp_path / "inner.d").mkdir()
    assert get_reader(str(tmp_path)) is None


def test_a_folder_of_damaged_dicom_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"a\.dcm"):
        read(tmp_path)


def test_a_large_folder_is_not_searched_to_its_end(tmp_path: Path) -> None:
    for number in range(501):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(InputError, match="no DICOM"):
        read(tmp_path)


def test_a_real_dicom_folder(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "prostatex0001_adc"
    [(data, options, kind)] = read(folder)
    assert (kind, len(data)) == ("image", 19)
    assert options["name"] == "prostatex0001_adc"
    assert options["units"] == ("mm", "mm", "mm")


def test_a_dicom_series_given_as_files_is_its_folder(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "prostatex0001_adc"
    [(data, _, _)] = read(sorted(folder.iterdir()))
    assert len(data) == 19


def test_one_dicom_file_is_answered_with_its_folder(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "prostatex0001_adc"
    with pytest.raises(InputError, match="one DICOM file; expected the folder"):
        read(folder / "1-01.dcm")


def test_real_folders_of_something_else_are_not_ours(shared_data: Path) -> None:
    for name in ("images_labelled", "nifti_odd", "samri_layout"):
        assert get_reader(str(shared_data / name)) is None


def test_real_images_and_labels(shared_data: Path) -> None:
    for path in sorted((shared_data / "images_labelled").glob("*.nii.gz")):
        volume = load_volume(path)
        [(data, options, kind)] = read(path)
        assert kind == ("labels" if path.name.endswith("_seg.nii.gz") else "image")
        assert np.array_equal(data, volume.array)
        assert options["name"] == path.name.removesuffix(".nii.gz")


@pytest.mark.filterwarnings("ignore::napari_samri.errors.InputWarning")
def test_odd_and_broken_files_open_or_are_refused_in_words(shared_data: Path) -> None:
    opened = refused = 0
    for path in [*(shared_data / "nifti_odd").iterdir(), *(shared_data / "broken").iterdir()]:
        reader = get_reader(str(path))
        if reader is None:
            continue
        try:
            [(data, options, _)] = reader(str(path))
        except InputError as error:
            assert path.name in str(error)  # noqa: PT017  # one of many files
            refused += 1
        else:
            assert data.ndim == len(options["scale"])
            opened += 1
    assert opened > 10
    assert refused > 10


def test_dicom_without_suffix_in_a_folder(shared_data: Path, tmp_path: Path) -> None:
    for number, file in enumerate((shared_data / "dicom" / "prostatex0001_adc").iterdir()):
        shutil.copyfile(file, tmp_path / f"1.2.840.{number}")
    assert len(read(tmp_path)[0][0]) == 19


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, np.bool_])
def test_contrast_limits_of_an_image_with_outliers(dtype: type) -> None:
    array = np.random.default_rng(1).integers(0, 100, (20, 100, 100)).astype(dtype)
    if dtype is not np.bool_:
        array[3, 4, 5] = 127
    low, high = contrast_limits(array)
    assert 0 <= low < high <= 100


def test_contrast_limits_are_never_one_value() -> None:
    assert contrast_limits(np.full((4, 5, 6), -3, np.int16)) == (-3, -2)
    assert contrast_limits(np.zeros((1, 1))) == (0, 1)
    speck = np.zeros((30, 200, 200), np.float32)
    speck[11, 17, 19] = 5
    assert contrast_limits(speck) == (0, 5)

"""Labels are whole numbers from 0 to 65535, however a file stores them."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest

from napari_samri import load_volume, save_labels
from napari_samri.errors import InputError, InputWarning
from napari_samri.io import (
    could_be_labels,
    label_volume,
    load_labels,
    marked_labels,
)
from napari_samri.io.label_rule import as_labels

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", ">i2", ">f4"]


def made_up(dtype="u1", values=(0, 1, 2, 100)):
    return np.random.default_rng(7).choice(values, (7, 6, 5)).astype(dtype)


def write(path, array, slope=None, inter=0.0, intent=None):
    """Write voxels as they are, with a scaling in the header."""
    header = nib.Nifti1Header(endianness=">" if array.dtype.str[0] == ">" else "<")
    header.set_data_dtype(array.dtype)
    image = nib.Nifti1Image(array, np.diag([1, 2, 3, 1.0]), header)
    if intent:
        image.header.set_intent(intent)
    image.to_filename(path)
    if slope is not None:
        order = image.header.endianness
        content = bytearray(path.read_bytes())
        content[112:120] = np.array([slope, inter], f"{order}f4").tobytes()
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", TYPES)
def test_whole_numbers_are_labels_whatever_their_type(tmp_path, dtype):
    array = made_up(dtype)
    volume = load_volume(write(tmp_path / "a_seg.nii", array))
    assert marked_labels(volume) is not None
    labels = label_volume(volume)
    assert labels.array.dtype.kind in "iu"
    assert np.array_equal(labels.to_stored(labels.array), array)
    assert np.array_equal(labels.affine, volume.affine)


@pytest.mark.parametrize("slope", [1.0, 0.99999, 1.00001, np.nextafter(np.float32(1), 0), 1 + 9e-5])
@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 999, 65535)])
def test_a_scaling_of_almost_one_is_taken_for_one(tmp_path, slope, values):
    array = made_up("u2", values)
    labels = load_labels(write(tmp_path / "a.nii", array, slope=slope))
    assert np.array_equal(labels.to_stored(labels.array), array)


@pytest.mark.parametrize(
    ("stored", "slope", "inter", "expected"),
    [
        ((0, 255), 1 / 255, 0, (0, 1)),
        ((0, 1, 2), 2, 0, (0, 2, 4)),
        ((1, 2, 3), 1, -1, (0, 1, 2)),
        ((0, 1, 4), 0.5, 1, None),
        ((0, 1), 1, -1, None),
    ],
)
def test_other_scalings_are_applied(tmp_path, stored, slope, inter, expected):
    array = made_up("u1", stored)
    path = write(tmp_path / "a_mask.nii", array, slope=slope, inter=inter)
    if expected is None:
        with pytest.raises(InputError, match=r"a_mask\.nii: the labels hold .* at slice"):
            load_labels(path)
        with pytest.warns(InputWarning, match=r"a_mask\.nii: called labels"):
            assert marked_labels(load_volume(path)) is None
    else:
        labels = load_labels(path)
        wanted = np.select([array == value for value in stored], expected)
        assert np.array_equal(labels.to_stored(labels.array), wanted)


@pytest.mark.parametrize("value", ["0.5", "0.002", "-1", "-0.01", "65536", "65535.5", "1e+30"])
def test_a_value_that_is_no_label_is_named_with_its_place(tmp_path, value):
    array = made_up("f4")
    array[2, 3, 4] = float(value)
    volume = load_volume(write(tmp_path / "a_dseg.nii", array))
    place = np.argwhere(volume.array == np.float32(float(value)))[0]
    where = "slice {}, row {}, column {}".format(*place)
    with pytest.raises(
        InputError, match=rf"hold {re.escape(value)} at {where}; expected whole numbers"
    ):
        label_volume(volume)
    with pytest.warns(InputWarning, match=where):
        assert marked_labels(volume) is None


@pytest.mark.parametrize("dtype", ["i2", "i4", "u4", "i8", "u8"])
def test_integers_out_of_range_are_no_labels(dtype):
    info = np.iinfo(dtype)
    for value in {max(-1, int(info.min)), min(65536, int(info.max))} - {0, 32767}:
        array = made_up(dtype)
        array[1, 2, 3] = value
        with pytest.raises(InputError, match=f"hold {value} at slice 1, row 2, column 3"):
            as_labels(array)


def test_rounding_is_within_a_thousandth():
    assert as_labels(np.array([0.9995, 2.0004, 3, -0.0004])).tolist() == [1, 2, 3, 0]
    with pytest.raises(InputError, match=r"0\.998 at index"):
        as_labels(np.array([1, 0.998]))
    with pytest.raises(InputError, match="nan"):
        as_labels(np.array([1, np.nan]))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3), (2, 3, 4, 5)])
def test_any_shape_does(shape):
    assert np.array_equal(as_labels(np.ones(shape)), np.ones(shape, int))


def test_only_files_that_say_so_are_labels_unless_they_are_chosen(tmp_path):
    path = write(tmp_path / "a.nii", made_up())
    assert marked_labels(load_volume(path)) is None
    assert np.array_equal(load_labels(path).array, load_volume(path).array)
    named = load_volume(write(tmp_path / "b.nii", made_up("f8"), intent="label"))
    assert marked_labels(named) is not None


def test_labels_of_floats_are_saved_as_integers(tmp_path):
    volume = load_volume(write(tmp_path / "a_seg.nii", made_up("f4", (0, 1, 300))))
    save_labels(tmp_path / "out.nii.gz", volume.array, volume)
    back = nib.load(tmp_path / "out.nii.gz")
    assert back.get_data_dtype() == np.uint16
    assert np.array_equal(back.dataobj, volume.to_stored(volume.array))


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_few_whole_values_could_be_labels(dtype):
    labels = np.zeros((40, 50, 60), dtype)
    labels[10:20, 10:20, 10:20] = 3
    assert could_be_labels(labels)
    labels[15, 15, 15] = 99
    assert could_be_labels(labels)
    noise = np.random.default_rng(0).integers(0, 120, labels.shape).astype(dtype)
    assert not could_be_labels(noise)
    assert could_be_labels(noise, most=120)


def test_one_odd_voxel_is_enough_to_be_no_labels():
    labels = np.zeros((200, 200, 200), np.float32)
    labels[101, 57, 33] = 0.5
    assert not could_be_labels(labels)
    assert not could_be_labels(-np.ones((3, 3), np.int8))
    assert not could_be_labels(np.full((3, 3), "a"))
    assert could_be_labels(np.ones((3, 3), bool))

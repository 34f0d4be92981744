"""NIfTI in: the voxels of the file in display order, or an error that names the file."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri import load_volume, save_labels
from napari_samri.errors import GeometryError, InputError, InputWarning

if TYPE_CHECKING:
    from pathlib import Path

AFFINE = np.array([[-1.5, 0.1, 0, 10], [0.1, 2, 0.2, -20], [0, -0.2, 3, 5], [0, 0, 0, 1.0]])
KINDS = {"nifti1": nib.Nifti1Image, "nifti2": nib.Nifti2Image}


def write(path: Path, array, affine=AFFINE, kind=nib.Nifti1Image, endianness="<", **fields) -> Path:
    """Write an array, then set raw header fields, as a careless program would."""
    header = kind.header_class(endianness=endianness)
    header.set_data_dtype(array.dtype)
    image = kind(array, affine, header)
    content = bytearray(image.to_bytes())
    raw = kind.header_class(bytes(content[: header.sizeof_hdr]), check=False)
    for name, value in fields.items():
        raw[name] = value
    content[: header.sizeof_hdr] = raw.binaryblock
    data = bytes(content)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def noise(*shape: int, dtype=np.int16) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 200, shape).astype(dtype)


def as_stored(volume) -> np.ndarray:
    return volume.to_stored(volume.array)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("endianness", "<>")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 5), (6, 7, 5, 1), (6, 7, 5, 3), (6, 7, 1, 3)])
def test_voxels_are_the_files_own(tmp_path, kind, endianness, suffix, shape):
    array = noise(*shape)
    path = write(tmp_path / f"a{suffix}", array, kind=KINDS[kind], endianness=endianness)
    volume = load_volume(path)
    assert np.array_equal(as_stored(volume), array)
    assert volume.array.dtype.newbyteorder("=") == array.dtype
    np.testing.assert_allclose(volume.grid.affine, nib.load(path).affine, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 7, 5, 1), (6, 7, 5, 1, 1), (6, 7, 5, 1, 1, 1)])
def test_trailing_axes_of_size_one_are_dropped_and_put_back(tmp_path, shape):
    volume = load_volume(write(tmp_path / "a.nii", noise(*shape)))
    assert volume.array.ndim == 3
    assert as_stored(volume).shape == shape


def test_each_voxel_lies_where_nibabel_puts_it(tmp_path):
    array = noise(6, 7, 5)
    path = write(tmp_path / "a.nii", array)
    volume = load_volume(path)
    to_world = nib.load(path).affine
    for stored in np.ndindex(array.shape):
        world = to_world @ (*stored, 1)
        shown = np.linalg.solve(volume.affine, world)[:3].round(4)
        assert volume.array[tuple(shown.astype(int))] == array[stored]


@pytest.mark.parametrize(("slope", "inter"), [(0.5, 0), (1, -100), (2.5, 3000), (-1, 0)])
def test_scaling_of_the_header_is_applied(tmp_path, slope, inter):
    array = noise(6, 7, 5)
    path = write(tmp_path / "a.nii", array, scl_slope=slope, scl_inter=inter)
    volume = load_volume(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(as_stored(volume), array * float(slope) + inter, rtol=1e-6)
    np.testing.assert_allclose(as_stored(volume), nib.load(path).get_fdata(), rtol=1e-6)


@pytest.mark.parametrize("slope", [0, 1, np.nan, np.inf])
def test_no_scaling_keeps_the_dtype(tmp_path, slope):
    path = write(tmp_path / "a.nii", noise(6, 7, 5), scl_slope=slope, scl_inter=0)
    assert load_volume(path).array.dtype == np.int16


def test_plain_nifti_named_gz_and_the_reverse_are_read(tmp_path):
    plain = write(tmp_path / "a.nii", noise(6, 7, 5))
    named_gz = tmp_path / "plain.nii.gz"
    named_gz.write_bytes(plain.read_bytes())
    named_nii = tmp_path / "packed.nii"
    named_nii.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (named_gz, named_nii):
        assert np.array_equal(as_stored(load_volume(path)), noise(6, 7, 5))


def test_nonfinite_voxels_count_as_zero_and_are_counted_aloud(tmp_path):
    array = noise(6, 7, 5, dtype=np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    path = write(tmp_path / "holes.nii", array)
    with pytest.warns(InputWarning, match=r"holes\.nii: 3 voxels"):
        volume = load_volume(path)
    array[0, 0, :3] = 0
    assert np.array_equal(as_stored(volume), array)


def test_header_without_codes_is_read_with_a_warning(tmp_path):
    path = write(tmp_path / "a.nii", noise(6, 7, 5), sform_code=0, qform_code=0)
    with pytest.warns(InputWarning, match="neither sform nor qform"):
        volume = load_volume(path)
    np.testing.assert_allclose(volume.grid.spacing_mm, nib.load(path).header.get_zooms())


def test_unset_qfac_counts_as_one_as_the_standard_says(tmp_path):
    array = noise(6, 7, 5)
    affine = np.diag([2, 3, 4, 1.0])
    pixdim = [0, 2, 3, 4, 0, 0, 0, 0]
    path = write(tmp_path / "a.nii", array, affine, sform_code=0, qform_code=1, pixdim=pixdim)
    np.testing.assert_allclose(load_volume(path).grid.affine, affine, atol=1e-6)


def test_a_single_slice_needs_no_thickness(tmp_path):
    fields = {"sform_code": 0, "qform_code": 1, "pixdim": [1, 2, 2, 0, 0, 0, 0, 0]}
    path = write(tmp_path / "a.nii", noise(6, 7, 1), np.diag([2, 2, 2, 1.0]), **fields)
    assert load_volume(path).array.shape == (1, 7, 6)


def test_header_slice_axis_is_shown_as_slices(tmp_path):
    slices_along_x = 1 << 4  # dim_info: bits 4 and 5 hold the slice axis, counted from 1
    path = write(tmp_path / "a.nii", noise(4, 9, 8), np.eye(4), dim_info=slices_along_x)
    assert load_volume(path).spatial_shape[0] == 4


BAD_SHAPES = [(6,), (6, 1, 1), (1, 1, 6), (6, 7, 5, 2, 2), (6, 7, 5, 1, 3), (6, 7, 1, 1, 1, 2)]


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_other_dimensions_are_refused(tmp_path, shape):
    path = write(tmp_path / "bad.nii", noise(*shape))
    with pytest.raises(InputError, match=r"bad\.nii: the shape is"):
        load_volume(path)


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.parametrize("dtype", [RGB, np.dtype(np.complex64)])
def test_colours_and_complex_numbers_are_refused(tmp_path, dtype):
    path = write(tmp_path / "bad.nii", np.zeros((6, 7, 5), dtype))
    with pytest.raises(InputError, match=r"bad\.nii: the voxels are .*expected grey values"):
        load_volume(path)


BAD_HEADERS = {
    "zero spacing, no codes": {"sform_code": 0, "qform_code": 0, "pixdim": [1] + [0] * 7},
    "zero spacing, qform": {"sform_code": 0, "qform_code": 1, "pixdim": [1, 2, 0, 2] + [0] * 4},
    "negative spacing": {"sform_code": 0, "qform_code": 1, "pixdim": [1, 2, -2, 2] + [0] * 4},
    "NaN spacing": {"sform_code": 0, "qform_code": 1, "pixdim": [1, 2, np.nan, 2] + [0] * 4},
    "no rotation": {"sform_code": 0, "qform_code": 1, "quatern_b": 3, "quatern_c": 3},
    "NaN rotation": {"sform_code": 0, "qform_code": 1, "quatern_b": np.nan},
    "huge rotation": {"sform_code": 0, "qform_code": 1, "quatern_b": 1e38},
    "NaN sform": {"srow_x": [np.nan, 0, 0, 0]},
    "zero sform": {"srow_x": 0, "srow_y": 0, "srow_z": 0},
    "singular sform": {"srow_x": [1, 1, 0, 0], "srow_y": [1, 1, 0, 0], "srow_z": [0, 0, 1, 0]},
}


@pytest.mark.parametrize("fault", BAD_HEADERS)
def test_geometry_without_sense_is_refused(tmp_path, fault):
    path = write(tmp_path / "bad.nii", noise(6, 7, 5), **BAD_HEADERS[fault])
    with pytest.raises(GeometryError, match=r"bad\.nii"):
        load_volume(path)


BAD_FIELDS = {
    "unknown type": {"datatype": 999},
    "negative size": {"dim": [3, 6, -7, 5, 1, 1, 1, 1]},
    "two negative sizes": {"dim": [4, 6, 7, -5, -1, 1, 1, 1]},
    "size of zero": {"dim": [3, 6, 0, 5, 1, 1, 1, 1]},
    "no dimensions": {"dim": [0, 6, 7, 5, 1, 1, 1, 1]},
    "too many dimensions": {"dim": [9, 6, 7, 5, 1, 1, 1, 1]},
    "voxels inside the header": {"vox_offset": 0},
    "voxels nowhere": {"vox_offset": np.nan},
    "voxels at infinity": {"vox_offset": np.inf},
    "more voxels than bytes": {"dim": [3, 6, 7, 6, 1, 1, 1, 1]},
    "NaN intercept": {"scl_slope": 2, "scl_inter": np.nan},
}


@pytest.mark.parametrize("fault", BAD_FIELDS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_headers_that_lie_are_refused(tmp_path, fault, suffix):
    path = write(tmp_path / f"bad{suffix}", noise(6, 7, 5), **BAD_FIELDS[fault])
    with pytest.raises(InputError, match=r"bad\.nii"):
        load_volume(path)


def test_all_nonfinite_is_refused(tmp_path):
    path = write(tmp_path / "bad.nii", np.full((6, 7, 5), np.nan, np.float32))
    with pytest.raises(InputError, match=r"bad\.nii: all voxels are NaN"):
        load_volume(path)


def test_a_truncated_or_damaged_gzip_is_refused_to_its_last_byte(tmp_path):
    good = write(tmp_path / "a.nii.gz", noise(20, 20, 20)).read_bytes()
    bad = tmp_path / "bad.nii.gz"
    for content in (
        good[: len(good) // 2],
        good[:-1],
        good[:-8] + bytes([good[-8] ^ 1]) + good[-7:],  # the checksum
        good[:-4] + bytes([good[-4] ^ 1]) + good[-3:],  # the length
    ):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.nii\.gz: .*damaged"):
            load_volume(bad)


def test_any_flipped_bit_of_a_gzip_is_found_or_harmless(tmp_path):
    array = noise(8, 8, 8)
    good = write(tmp_path / "a.nii.gz", array).read_bytes()
    bad = tmp_path / "bad.nii.gz"
    refused, places = 0, range(0, len(good), 7)
    for place in places:
        bad.write_bytes(good[:place] + bytes([good[place] ^ 16]) + good[place + 1 :])
        try:
            volume = load_volume(bad)
        except InputError as error:
            assert "bad.nii.gz" in str(error)  # noqa: PT017  # refused or not, both are fine
            refused += 1
        else:
            assert np.array_equal(as_stored(volume), array)
    assert refused > 0.9 * len(places)


def test_a_truncated_plain_file_is_refused_with_both_sizes(tmp_path):
    good = write(tmp_path / "a.nii", noise(6, 7, 5)).read_bytes()
    bad = tmp_path / "bad.nii"
    for size in (0, 3, 347, 351, 352, len(good) - 1):
        bad.write_bytes(good[:size])
        with pytest.raises(InputError, match=r"bad\.nii"):
            load_volume(bad)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"\0" * 1024, "not a NIfTI"),
        (bytes(344) + b"ni1\0" + bytes(100), "pair"),
    ],
)
def test_what_is_no_nifti_is_named(tmp_path, content, said):
    for name in ("bad.nii", "bad.nii.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}.*{said}"):
            load_volume(tmp_path / name)


def test_a_claim_over_2_gib_is_refused_before_it_is_read(tmp_path):
    path = write(tmp_path / "big.nii.gz", noise(6, 7, 5), dim=[3, 2000, 2000, 600, 1, 1, 1, 1])
    with pytest.raises(InputError, match=r"big\.nii\.gz.*max_voxels=2400000000"):
        load_volume(path)
    with pytest.raises(InputError, match=r"big\.nii\.gz.*holds"):
        load_volume(path, max_voxels=2_400_000_000)


def test_max_voxels_is_a_limit(tmp_path):
    path = write(tmp_path / "a.nii", noise(6, 7, 5))
    assert load_volume(path, max_voxels=6 * 7 * 5).array.size == 6 * 7 * 5
    with pytest.raises(InputError, match=r"a\.nii.*limit"):
        load_volume(path, max_voxels=6 * 7 * 5 - 1)


def test_what_a_gzip_holds_beyond_the_voxels_is_not_kept_in_memory(tmp_path):
    import tracemalloc

    beyond = 1 << 25
    content = write(tmp_path / "a.nii", noise(6, 7, 5)).read_bytes()
    bomb = tmp_path / "bomb.nii.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(content)
        for _ in range(beyond >> 20):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.warns(InputWarning, match="33,554,432 bytes follow the voxels"):
            volume = load_volume(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(as_stored(volume), noise(6, 7, 5))
    assert peak < beyond / 4


@pytest.mark.parametrize(("code", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["sform", "qform", "none"])
@pytest.mark.filterwarnings("ignore:.*neither sform nor qform")
def test_lengths_are_in_mm_whatever_the_headers_unit(tmp_path, code, factor, kind, form):
    image = KINDS[kind](noise(6, 7, 5), AFFINE)
    image.set_sform(AFFINE, 1 if form == "sform" else 0)
    image.set_qform(AFFINE, 0 if form == "none" else 1)
    image.header["xyzt_units"] = code + 8  # and seconds
    image.to_filename(tmp_path / "a.nii")
    source = nib.load(tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    mm = np.diag([factor, factor, factor, 1])
    np.testing.assert_allclose(volume.grid.affine, mm @ source.affine, rtol=1e-12)
    zooms = [factor * zoom for zoom in source.header.get_zooms()]
    np.testing.assert_allclose(sorted(volume.spacing_mm), sorted(zooms), rtol=1e-5)
    # Labels keep the header's own unit and numbers, and so lie where the image lies.
    save_labels(tmp_path / "l.nii", volume.array > 9, volume)
    written = nib.load(tmp_path / "l.nii")
    for name in ("xyzt_units", "pixdim", "srow_x", "srow_y", "srow_z", "qoffset_x", "quatern_b"):
        assert written.header[name].tobytes() == source.header[name].tobytes()
    np.testing.assert_array_equal(load_volume(tmp_path / "l.nii").affine, volume.affine)


def test_an_unknown_unit_is_told(tmp_path):
    path = write(tmp_path / "a.nii", noise(6, 7, 5), xyzt_units=5)
    with pytest.warns(InputWarning, match="code 5.*millimetres are assumed"):
        volume = load_volume(path)
    np.testing.assert_allclose(volume.grid.affine, AFFINE, rtol=1e-6)


def test_a_hole_before_or_after_the_voxels_costs_nothing(tmp_path):
    import tracemalloc

    content = write(tmp_path / "a.nii", noise(6, 7, 5), vox_offset=3 << 30).read_bytes()
    with (tmp_path / "hole.nii").open("wb") as file:
        file.write(content[:352])
        file.seek(3 << 30)
        file.write(content[352:])
        file.truncate(9 << 30)
    tracemalloc.start()
    try:
        with pytest.warns(InputWarning, match="bytes follow the voxels"):
            volume = load_volume(tmp_path / "hole.nii")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(as_stored(volume), noise(6, 7, 5))
    assert peak < 1 << 22


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("begin", [1 << 31, 1e30, 800])
def test_voxels_that_begin_beyond_the_file_are_refused_before_it_is_read(tmp_path, suffix, begin):
    path = write(tmp_path / f"a{suffix}", noise(6, 7, 5), vox_offset=begin)
    with pytest.raises(InputError, match=r"a\.nii.*(holds|expected at most 64 MiB)"):
        load_volume(path)


def test_a_claim_that_gzip_cannot_hold_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.nii.gz", noise(6, 7, 5), dim=[3, 900, 900, 900, 1, 1, 1, 1])
    monkeypatch.setattr("napari_samri.io.nifti._read_packed", None)
    with pytest.raises(InputError, match=r"\(900, 900, 900\).*the file holds fewer"):
        load_volume(path)


def test_gigabytes_after_the_voxels_of_a_gzip_are_not_read(tmp_path):
    path = write(tmp_path / "a.nii.gz", noise(6, 7, 5))
    member = gzip.compress(bytes(1 << 24), mtime=0)
    path.write_bytes(path.read_bytes() + member * 400)
    with pytest.raises(InputError, match="over 64 MiB follow the voxels"):
        load_volume(path)


# --- real files, where they are -----------------------------------------------------------------

READABLE_ODD = {
    "anatomical.nii",
    "big.nii.gz",
    "dipy_aniso_vox.nii.gz",
    "example4d.nii.gz",
    "example_nifti2.nii.gz",
    "functional.nii",
    "little.nii.gz",
    "low_res.nii.gz",
    "medpy_b0_2d_1024.nii.gz",
    "medpy_b0_2d_1024_scribbles.nii.gz",
    "minimal.nii.gz",
    "reoriented_anat_moved.nii",
    "resampled_anat_moved.nii",
    "sct_dmri.nii.gz",
    "sct_fmri_tsnr.nii.gz",
    "sct_mtr.nii.gz",
    "sct_t2s_seg-deepseg.nii.gz",
    "sct_venc_4d_signed.nii.gz",
    "standard.nii.gz",
    "with_extension.nii.gz",
}
# Why they can be read: NIfTI is known by its bytes, not its name; two slices are a stack.
READABLE_BROKEN = {"plain_nifti_named_gz.nii.gz", "d2n_two_slices_only"}


def read_all(paths):
    """Return what could be read, by name; each refusal has to name its file."""
    found = {}
    for path in paths:
        try:
            found[path.name] = load_volume(path)
        except InputError as error:
            assert path.name in str(error)  # noqa: PT017  # which ones fail is asserted outside
    return found


@pytest.mark.filterwarnings("ignore::napari_samri.errors.InputWarning")
def test_odd_real_files_are_read_as_nibabel_reads_them_or_refused(shared_data):
    paths = [path for path in sorted((shared_data / "nifti_odd").iterdir()) if path.is_file()]
    found = read_all(paths)
    assert set(found) == READABLE_ODD
    for name, volume in found.items():
        image = nib.load(shared_data / "nifti_odd" / name)
        expected = np.nan_to_num(image.get_fdata(), nan=0, posinf=0, neginf=0)
        np.testing.assert_allclose(as_stored(volume), expected, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(volume.grid.affine, image.affine, atol=1e-5, err_msg=name)


def test_real_images_and_labels_are_read_as_nibabel_reads_them(shared_data):
    paths = [
        *shared_data.glob("images_labelled/*.nii.gz"),
        *shared_data.glob("labels_only/*.nii.gz"),
    ]
    assert len(paths) >= 50
    for path in paths:
        volume, image = load_volume(path), nib.load(path)
        assert np.array_equal(as_stored(volume), np.asanyarray(image.dataobj)), path.name
        np.testing.assert_allclose(volume.grid.affine, image.affine, atol=1e-6, err_msg=path.name)


def test_broken_real_files_are_refused_by_name(shared_data):
    found = read_all(sorted((shared_data / "broken").iterdir()))
    assert set(found) == READABLE_BROKEN


def test_one_brain_in_twelve_orientations_is_one_volume(shared_data):
    volumes = [load_volume(p) for p in sorted((shared_data / "nifti_odd/orientations").iterdir())]
    assert len(volumes) == 12
    for volume in volumes[1:]:
        assert np.array_equal(volume.array, volumes[0].array)
        # The files round their affines to float32.
        np.testing.assert_allclose(volume.affine, volumes[0].affine, atol=1e-4)

"""Labels and images out: what is written reads back as it was, whole or not at all.

Labels lie on exactly the grid of their source, and take nothing of its other contents along.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri import load_volume, save_labels
from napari_samri.errors import GeometryError, InputError, StoreError
from napari_samri.geometry import Grid, Orientation, Volume
from napari_samri.io import writing
from napari_samri.io.samples import make_phantom
from napari_samri.io.writing import save_image

if TYPE_CHECKING:
    from pathlib import Path

GEOMETRY = [
    "pixdim",
    "xyzt_units",
    "dim_info",
    "qform_code",
    "sform_code",
    *(f"quatern_{letter}" for letter in "bcd"),
    *(f"qoffset_{letter}" for letter in "xyz"),
    *(f"srow_{letter}" for letter in "xyz"),
]
N_GEOMETRIES = 1000


def raw_header(path, kind=nib.Nifti1Image):
    """Return the header as it lies in the file, without nibabel's repairs."""
    head = path.read_bytes()[: kind.header_class.sizeof_hdr]
    return kind.header_class(head, check=False)


def random_image(rng: np.random.Generator, path):
    """Write an image of a random geometry: oblique, permuted, flipped, anisotropic."""
    kind = rng.choice([nib.Nifti1Image, nib.Nifti2Image])
    shape = tuple(int(n) for n in rng.integers(2, 8, 3))
    header = kind.header_class(endianness=rng.choice(["<", ">"]))
    header.set_data_dtype(np.int16)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if rng.random() < 0.3:
        rotation = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = rotation * rng.uniform(0.2, 8, 3)
    affine[:3, 3] = rng.normal(0, 100, 3)
    image = kind(rng.integers(0, 99, shape).astype(np.int16), affine, header)
    codes = rng.integers(0, 5, 2)
    codes[rng.integers(2)] = rng.integers(1, 5)  # at least one of the two
    image.set_sform(affine, int(codes[0]))
    other = affine.copy()
    other[:3, 3] += rng.normal(0, 1, 3) if rng.random() < 0.5 else 0
    image.set_qform(other, int(codes[1]))
    image.header["xyzt_units"] = rng.choice([0, 2, 10])
    image.header["dim_info"] = rng.integers(0, 64)
    image.header["descrip"] = b"somebody, 1970-01-01"
    image.header["aux_file"] = b"somebody.txt"
    image.to_filename(path)
    return kind, shape


@pytest.mark.slow
def test_a_thousand_random_geometries_come_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(2024)
    source, target = tmp_path / "image.nii", tmp_path / "labels.nii"
    for number in range(N_GEOMETRIES):
        kind, shape = random_image(rng, source)
        volume = load_volume(source)
        image = nib.load(source)
        # Labels that are placed in display order by world positions, by nibabel's affine alone.
        stored = tuple(int(rng.integers(n)) for n in shape)
        world = image.affine @ (*stored, 1)
        shown = np.linalg.solve(volume.affine, world)[:3].round().astype(int)
        marks = np.zeros(volume.array.shape, np.uint8)
        marks[tuple(shown)] = 1 + number % 255
        save_labels(target, marks, volume)

        before, after = raw_header(source, kind), raw_header(target, kind)
        assert before.endianness == after.endianness
        for name in GEOMETRY:
            assert before[name].tobytes() == after[name].tobytes(), (number, name)
        written = nib.load(target)
        assert type(written) is kind
        assert written.affine.tobytes() == image.affine.tobytes()
        assert written.header.get_zooms() == image.header.get_zooms()
        found = np.asarray(written.dataobj)
        assert found.shape == shape
        assert np.argwhere(found).tolist() == [list(stored)]


@pytest.fixture
def volume(tmp_path):
    rng = np.random.default_rng(7)
    random_image(rng, tmp_path / "image.nii")
    return load_volume(tmp_path / "image.nii")


@pytest.mark.parametrize(("top", "dtype"), [(1, np.uint8), (255, np.uint8), (256, np.uint16)])
def test_the_smallest_unsigned_dtype_is_written(tmp_path, volume, top, dtype):
    marks = np.zeros(volume.array.shape, np.int64)
    marks[0, 0, 0] = top
    save_labels(tmp_path / "l.nii.gz", marks, volume)
    image = nib.load(tmp_path / "l.nii.gz")
    assert image.get_data_dtype().newbyteorder("=") == dtype
    assert np.asarray(image.dataobj).max() == top


def test_the_header_says_labels_and_nothing_of_the_patient(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.int16), np.eye(4))
    for field in ("descrip", "aux_file", "db_name", "data_type", "intent_name"):
        image.header[field] = b"somebody"
    image.header["cal_max"] = 7
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"somebody"))
    image.to_filename(tmp_path / "image.nii")
    volume = load_volume(tmp_path / "image.nii")
    target = tmp_path / "labels.nii"
    save_labels(target, volume.array > 0, volume)

    assert b"somebody" not in target.read_bytes()
    header = raw_header(target)
    assert header.get_intent()[0] == "label"
    assert (float(header["scl_slope"]), float(header["scl_inter"])) == (1, 0)
    assert (float(header["cal_max"]), float(header["cal_min"])) == (0, 0)
    assert target.stat().st_size == header.single_vox_offset + 3 * 4 * 5  # no extensions


def test_scaled_images_give_unscaled_labels(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.int16), np.eye(4))
    image.header.set_slope_inter(0.25, 10)
    image.to_filename(tmp_path / "image.nii")
    volume = load_volume(tmp_path / "image.nii")
    save_labels(tmp_path / "l.nii", np.full(volume.array.shape, 3), volume)
    assert (nib.load(tmp_path / "l.nii").get_fdata() == 3).all()


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 5, 1), (6, 7, 5, 1, 1), (6, 7, 5, 2)])
def test_labels_have_the_sources_shape(tmp_path, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(np.int16)
    nib.Nifti1Image(array, np.diag([-1, 1, -1, 1])).to_filename(tmp_path / "image.nii")
    volume = load_volume(tmp_path / "image.nii")
    save_labels(tmp_path / "l.nii.gz", volume.array, volume)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "l.nii.gz").dataobj), array)


def test_unset_fields_stay_unset(tmp_path):
    path = tmp_path / "image.nii"
    nib.Nifti1Image(np.ones((3, 4, 5), np.int16), np.eye(4)).to_filename(path)
    content = bytearray(path.read_bytes())
    header = raw_header(path)
    header["pixdim"] = [0, 0, 1, 1, 9, 9, 9, 9]  # an sform makes up for it
    content[: header.sizeof_hdr] = header.binaryblock
    path.write_bytes(content)
    volume = load_volume(path)
    save_labels(tmp_path / "l.nii", volume.array, volume)
    assert raw_header(tmp_path / "l.nii")["pixdim"].tolist() == [0, 0, 1, 1, 9, 9, 9, 9]


def test_a_source_without_a_nifti_header_gives_its_affine(tmp_path, volume):
    bare = replace(volume, grid=replace(volume.grid, header=b""))
    marks = (volume.array > volume.array.mean()).astype(int)
    save_labels(tmp_path / "l.nii", marks, bare)
    written = nib.load(tmp_path / "l.nii")
    np.testing.assert_allclose(written.affine, volume.grid.affine, rtol=1e-5, atol=1e-5)
    assert np.array_equal(written.dataobj, volume.to_stored(marks))


@pytest.mark.parametrize("name", ["l.nii", "l.nii.gz", "L.NII.GZ", "a.b.c.nii.gz", "ä b.nii"])
def test_names_are_kept_and_nothing_else_is_left(tmp_path, volume, name):
    folder = tmp_path / "out"
    folder.mkdir()
    save_labels(folder / name, volume.array > 0, volume)
    assert os.listdir(folder) == [name]
    packed = (folder / name).read_bytes().startswith(b"\x1f\x8b")
    assert packed == name.lower().endswith(".gz")
    assert load_volume(folder / name).array.shape == volume.array.shape


@pytest.mark.parametrize("name", ["a\0b.nii", "y" * 300 + ".nii.gz"])
def test_names_that_no_file_can_have_are_refused(tmp_path, volume, name):
    with pytest.raises(InputError, match=r"null character|takes \d+ bytes"):
        save_labels(tmp_path / name, volume.array > 0, volume)


@pytest.mark.parametrize("name", ["l.mha", "l", "nii", "l.nii.bz2"])
def test_other_suffixes_are_refused(tmp_path, volume, name):
    with pytest.raises(InputError, match="expected a name ending in"):
        save_labels(tmp_path / name, volume.array > 0, volume)
    assert not (tmp_path / name).exists()


def bad_labels(volume):
    shape = volume.array.shape
    return {
        "fractions": np.full(shape, 0.25),
        "negative": np.full(shape, -1),
        "too large": np.full(shape, 65536),
        "text": np.full(shape, "a"),
    }


@pytest.mark.parametrize("fault", ["fractions", "negative", "too large", "text"])
def test_what_are_no_labels_is_refused_and_the_old_file_stays(tmp_path, volume, fault):
    target = tmp_path / "l.nii"
    target.write_bytes(b"old")
    with pytest.raises(InputError, match="expected"):
        save_labels(target, bad_labels(volume)[fault], volume)
    assert target.read_bytes() == b"old"


def test_labels_of_another_grid_are_refused(tmp_path, volume):
    with pytest.raises(GeometryError, match="grid"):
        save_labels(tmp_path / "l.nii", np.zeros((2, 2, 99), int), volume)
    assert not (tmp_path / "l.nii").exists()


def test_one_time_point_is_not_saved_as_if_it_were_all(tmp_path):
    nib.Nifti1Image(np.ones((3, 4, 5, 2), np.int16), np.eye(4)).to_filename(tmp_path / "i.nii")
    volume = load_volume(tmp_path / "i.nii")
    with pytest.raises(GeometryError, match="time"):
        save_labels(tmp_path / "l.nii", np.zeros(volume.array.shape[1:], int), volume)


@pytest.mark.parametrize("place", ["missing/l.nii", "file/l.nii", "folder.nii"])
def test_places_that_cannot_be_written_are_store_errors(tmp_path, volume, place):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(StoreError, match=str(tmp_path / place)):
        save_labels(tmp_path / place, volume.array > 0, volume)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.nii", "image.nii"]


class LyingDisk:
    """Stands for a disk that damages what is written to it."""

    def __init__(self, damage):
        self.damage = damage
        self.verify = writing._verify

    def __call__(self, written, expected, path):
        content = written.read_bytes()
        written.write_bytes(self.damage(content))
        self.verify(written, expected, path)


DAMAGES = {
    "one voxel": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "cut off": lambda content: content[:-20],
    "no header": lambda content: bytes(400) + content[400:],
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_that_reads_back_wrong_never_replaces_the_old(
    tmp_path, volume, monkeypatch, damage, suffix
):
    target = tmp_path / f"l{suffix}"
    target.write_bytes(b"old")
    monkeypatch.setattr(writing, "_verify", LyingDisk(DAMAGES[damage]))
    with pytest.raises(StoreError, match=target.name):
        save_labels(target, np.ones(volume.array.shape, int), volume)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["image.nii", target.name]


SAVE_IN_A_CHILD = """
    import sys
    import numpy as np
    from napari_samri import load_volume, save_labels
    from napari_samri.errors import StoreError
    volume = load_volume(sys.argv[1])
    labels = np.random.default_rng(0).integers(0, 200, volume.array.shape)
    {limit}
    try:
        save_labels(sys.argv[2], labels, volume)
    except StoreError as error:
        print(error)
        sys.exit(7)
"""


def save_in_a_child(limit, source, target):
    code = textwrap.dedent(SAVE_IN_A_CHILD).format(limit=limit)
    command = [sys.executable, "-c", code, str(source), str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits on file sizes")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_full_disk_leaves_the_old_file(tmp_path, suffix):
    source, target = tmp_path / "image.nii", tmp_path / f"l{suffix}"
    nib.Nifti1Image(np.ones((40, 40, 40), np.uint8), np.eye(4)).to_filename(source)
    target.write_bytes(b"old")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))"
    done = save_in_a_child(limit, source, target)
    assert done.returncode == 7, done.stderr
    assert str(target) in done.stdout
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["image.nii", target.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_an_unwritable_folder_leaves_the_old_file(tmp_path, volume):
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "l.nii"
    target.write_bytes(b"old")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere (root); the full disk covers the path")
        with pytest.raises(StoreError, match=r"l\.nii: cannot be written"):
            save_labels(target, volume.array > 0, volume)
    finally:
        folder.chmod(stat.S_IRWXU)
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_killed_save_leaves_the_old_file(tmp_path):
    source, target = tmp_path / "image.nii", tmp_path / "l.nii"
    nib.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.eye(4)).to_filename(source)
    target.write_bytes(b"old")
    die = (
        "import os; import napari_samri.io.writing as m; "
        "m._verify = lambda *_: os.kill(os.getpid(), 9)"
    )
    done = save_in_a_child(die, source, target)
    assert done.returncode == -9
    assert target.read_bytes() == b"old"


def plain(array: np.ndarray, spacing: tuple[float, ...] = (4.0, 0.8, 1.2)) -> Volume:
    """Return the volume of an array that nobody knows the geometry of, as layers give it."""
    if array.ndim == 2:
        grid = Grid(array.shape, np.diag([*spacing[-2:], 1.0, 1.0]))
        return Volume(array, grid, Orientation(axes=(2, 0, 1)))
    grid = Grid((*array.shape[-3:], *array.shape[:-3]), np.diag([*spacing, 1.0]))
    return Volume(array, grid, Orientation())


def same(first: Volume, second: Volume) -> None:
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_allclose(first.spacing_mm, second.spacing_mm, rtol=1e-5)


def test_random_geometries(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        source, copy = tmp_path / "source.nii", tmp_path / "copy.nii.gz"
        random_image(rng, source)
        volume = load_volume(source)
        save_image(copy, volume)
        again = load_volume(copy)
        same(volume, again)
        np.testing.assert_array_equal(volume.affine, again.affine)
        assert b"somebody" not in nib.load(copy).header["descrip"].tobytes()


def test_a_volume_with_a_header_and_no_file(tmp_path: Path) -> None:
    volume, _ = make_phantom()
    save_image(tmp_path / "a.nii.gz", volume)
    same(volume, load_volume(tmp_path / "a.nii.gz"))


@pytest.mark.parametrize("spacing", [(4.0, 0.8, 1.2), (1.0, 1.0, 5.0), (1.0, 7.0, 1.0)])
@pytest.mark.parametrize("shape", [(9, 8), (5, 9, 8), (3, 5, 9, 8)])
def test_plain_arrays_keep_their_order(
    tmp_path: Path, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    """Also where another axis is the one of thick slices."""
    array = np.random.default_rng(0).integers(0, 1000, shape).astype(np.int16)
    volume = plain(array, spacing)
    save_image(tmp_path / "a.nii", volume)
    again = load_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(array, again.array)
    np.testing.assert_allclose(again.spacing_mm[-2:], volume.spacing_mm[-2:])


@pytest.mark.parametrize(
    "dtype", ["bool", "float16", ">i2", ">f4", "int64", "uint64", "uint32", "int8", "float64"]
)
def test_every_real_dtype(tmp_path: Path, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, (5, 9, 8)).astype(dtype)
    save_image(tmp_path / "a.nii", plain(array))
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nii").array, array)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected real numbers"):
        save_image(tmp_path / "a.nii", plain(np.zeros((2, 3, 4), complex)))
    with pytest.raises(InputError, match="expected a name ending in"):
        save_image(tmp_path / "a.png", plain(np.zeros((2, 3, 4))))
    with pytest.raises(StoreError, match="cannot be written"):
        save_image(tmp_path / "nowhere" / "a.nii", plain(np.zeros((2, 3, 4))))
    assert list(tmp_path.iterdir()) == []

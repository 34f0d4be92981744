"""Channels of 4D images, and label files of one structure each."""

from __future__ import annotations

import unicodedata

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt

from napari_samri import load_volume
from napari_samri.datasets import (
    DataSet,
    Rules,
    Source,
    prepare,
    read_manifest,
    root_of,
    write_manifest,
)
from napari_samri.datasets.loading import aligned_labels, load_study, of_channel
from napari_samri.errors import GeometryError, InputError, InputWarning
from tests.datasets.making import AFFINES, SHAPE, boxes, noise, write
from tests.datasets.test_manifest import a_study

pytestmark = pytest.mark.filterwarnings("ignore:no patient is in")


def block(rows, columns):
    mask = np.zeros(SHAPE, np.uint8)
    mask[rows, columns, 1:] = 255
    return mask


MASKS = {
    "body": block(slice(0, 12), slice(0, 12)),
    "liver": block(slice(2, 7), slice(3, 9)),
    "spleen": block(slice(8, 12), slice(6, 12)),
}


@pytest.fixture
def organs(tmp_path):
    """Two people, each with an image and a file for each structure, the inner ones first."""
    rows = ["image,labels,patient,class"]
    for seed, person in enumerate(("p1", "p2")):
        write(tmp_path / person / "t1.nii", noise(seed), AFFINES["oblique"])
        for name, mask in MASKS.items():
            write(tmp_path / person / f"{name}.nii", mask, AFFINES["oblique"])
            rows.append(f"{person}/t1.nii,{person}/{name}.nii,{person},{name}")
    table = tmp_path / "list.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def expected_map():
    """Of the files above: what is within another structure is kept."""
    result = np.where(MASKS["body"] > 0, 1, 0)
    for label, name in ((2, "liver"), (3, "spleen")):
        result[MASKS[name] > 0] = label
    return result


def test_a_file_for_each_structure(organs, tmp_path):
    with pytest.warns(InputWarning, match=r"share \d+ voxels; the smaller structure has them"):
        manifest = prepare(organs, Rules(min_pixels=1, min_share=0))
    assert len(manifest.studies) == 2
    assert manifest.datasets[0].label_names == {1: "body", 2: "liver", 3: "spleen"}
    study = manifest.studies[0]
    assert study.classes == ((1, "p1/body.nii"), (2, "p1/liver.nii"), (3, "p1/spleen.nii"))
    write_manifest(tmp_path / "m.json", manifest)
    assert read_manifest(tmp_path / "m.json").studies == manifest.studies
    with pytest.warns(InputWarning, match="share"):
        image, labels = load_study(tmp_path, study)
    stored = image.orientation.to_stored(labels)
    assert np.array_equal(stored, expected_map())
    pixels = sum(region.pixels for entry in study.slices for region in entry.regions)
    assert pixels == np.count_nonzero(stored)


@pytest.mark.filterwarnings("ignore:1 notes")
def test_without_a_column_the_files_names_tell(organs, tmp_path):
    rows = [",".join(row.split(",")[:3]) for row in organs.read_text().splitlines()]
    organs.write_text("\n".join(rows))
    with pytest.warns(InputWarning, match="share"):
        (one, _) = prepare(organs).studies
    assert [label for label, _ in one.classes] == [1, 2, 3]


def test_a_structures_file_with_several_values(organs, tmp_path):
    several = MASKS["liver"].copy()
    several[3] //= 2
    write(tmp_path / "p1" / "liver.nii", several, AFFINES["oblique"])
    with pytest.warns(InputWarning, match="share"):
        manifest = prepare(organs)
    assert len(manifest.studies) == 1
    (problem,) = manifest.problems
    assert "list.csv, line 2: p1/t1.nii, with p1/body.nii: p1/liver.nii: has the values" in problem


def test_a_structures_file_on_another_grid(organs, tmp_path):
    write(tmp_path / "p1" / "liver.nii", boxes(), AFFINES["RAS"])
    with pytest.warns(InputWarning, match="share"):
        (problem,) = prepare(organs).problems
    assert "p1/liver.nii: the labels' grid lies up to" in problem


def test_two_files_of_one_structure_are_two_cases(tmp_path):
    write(tmp_path / "t1.nii", noise(1))
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.nii", MASKS["spleen" if name == "c" else "liver"])
    rows = "t1.nii,a.nii,liver\nt1.nii,b.nii,liver\nt1.nii,c.nii,spleen\n"
    (tmp_path / "list.csv").write_text(f"image,labels,class\n{rows}")
    studies = prepare(tmp_path / "list.csv").studies
    assert [study.classes for study in studies] == [
        ((1, "a.nii"), (2, "c.nii")),
        ((1, "b.nii"),),
    ]


def test_masks_of_bids_within_each_other(tmp_path):
    """Grey matter lies within the cord: it is not lost under it."""
    folder = tmp_path / "sub-1" / "anat"
    write(folder / "sub-1_T2w.nii", noise(1))
    for name, mask in (("GM", "liver"), ("SC", "body")):
        write(folder / f"sub-1_T2w_label-{name}_mask.nii", MASKS[mask])
    with pytest.warns(InputWarning, match="share"):
        manifest = prepare(tmp_path, Rules(min_pixels=1))
    assert manifest.datasets[0].label_names == {1: "GM", 2: "SC"}
    (study,) = manifest.studies
    largest = max(study.slices, key=lambda entry: len(entry.regions))
    gm = np.count_nonzero(MASKS["liver"][..., 1])
    assert [region.pixels for region in largest.regions] == [gm, 12 * 12 - gm]


def test_a_dseg_beside_masks_is_told_of(tmp_path):
    folder = tmp_path / "sub-1" / "anat"
    write(folder / "sub-1_T2w.nii", noise(1))
    for end, mask in (("label-GM_mask", "liver"), ("label-SC_mask", "spleen"), ("dseg", "body")):
        write(folder / f"sub-1_T2w_{end}.nii", MASKS[mask])
    with pytest.warns(InputWarning, match="label 1 may stand for two things"):
        prepare(tmp_path, Rules(min_pixels=1))


def test_a_single_structure_is_a_label_map(tmp_path):
    write(tmp_path / "t1.nii", noise(1))
    write(tmp_path / "a.nii", boxes(label=4))
    (tmp_path / "list.csv").write_text("image,labels,class\nt1.nii,a.nii,liver\n")
    (study,) = prepare(tmp_path / "list.csv").studies
    assert (study.classes, study.labels) == ((), "a.nii")
    assert {region.label for entry in study.slices for region in entry.regions} == {4}


def test_several_people_s_labels_are_told_of(tmp_path):
    write(tmp_path / "t1.nii", noise(1))
    write(tmp_path / "a_rater1.nii", boxes())
    write(tmp_path / "a_rater2.nii", block(slice(2, 8), slice(2, 9)))
    rows = "t1.nii,a_rater1.nii\nt1.nii,a_rater2.nii\n"
    (tmp_path / "list.csv").write_text(f"image,labels\n{rows}")
    with pytest.warns(InputWarning, match="label 1 is taken for the same thing in all of them"):
        assert len(prepare(tmp_path / "list.csv").studies) == 2


def decathlon(root):
    array = np.stack([noise(n) for n in range(3)], axis=-1)
    write(root / "imagesTr" / "BRATS_001.nii", array, AFFINES["PSR"])
    write(root / "labelsTr" / "BRATS_001.nii", boxes(), AFFINES["PSR"])
    return root, array


def test_a_channel_of_a_4d_image(tmp_path):
    root, array = decathlon(tmp_path / "set")
    (study,) = prepare(Source(root, channel=2)).studies
    assert (study.channel, study.shape) == (2, study.shape)
    image, labels = load_study(root, study)
    assert image.array.ndim == 3
    assert np.array_equal(image.orientation.to_stored(image.array), array[..., 2])
    assert np.array_equal(image.orientation.to_stored(labels), boxes())
    whole = load_volume(root / "imagesTr" / "BRATS_001.nii")
    assert np.array_equal(image.affine, whole.affine)


@pytest.mark.parametrize(
    ("channel", "message"),
    [(None, "4D, with 3 channels or time points, and none is chosen"), (3, "channel 3 is chosen")],
)
def test_no_such_channel(tmp_path, channel, message):
    root, _ = decathlon(tmp_path / "set")
    with pytest.raises(InputError, match=rf"{message}; expected one of 0 to 2"):
        prepare(Source(root, channel=channel))


def test_3d_images_stay_as_they_are(tmp_path):
    write(tmp_path / "a_img.nii", noise(3))
    write(tmp_path / "a_seg.nii", boxes())
    (study,) = prepare(Source(tmp_path, channel=2)).studies
    assert study.channel is None
    image = load_volume(tmp_path / "a_img.nii")
    assert of_channel(image, None) is image


def test_a_manifest_that_moved_to_a_disk_with_other_forms(tmp_path):
    name = unicodedata.normalize("NFD", "Zo\u00eb")
    write(tmp_path / name / "x.nii", noise(1))
    write(tmp_path / name / "y.nii", boxes())
    study = a_study(image="Zo\u00eb/x.nii", labels="Zo\u00eb/y.nii")
    assert load_study(tmp_path, study)[1].any()


def test_roots_however_they_are_spelled(tmp_path):
    folder = tmp_path / unicodedata.normalize("NFD", "Zo\u00eb")
    write(folder / "a_img.nii", noise(1))
    write(folder / "a_seg.nii", boxes())
    manifest = prepare(tmp_path / "Zo\u00eb")
    assert manifest.datasets[0].root == str(folder)
    elsewhere = DataSet("a", "Zo\u00eb", "pairs")
    assert root_of(elsewhere, tmp_path / "m.json") == folder


def test_a_lost_file(tmp_path):
    with pytest.raises((InputError, GeometryError), match="no such file"):
        load_study(tmp_path, a_study())


GRID = (5, 6, 7)
ORIENTATIONS = ["RAS", "LPI", "SRA", "PIL", "IRP"]


def pair(folder, image, labels, image_affine=None, labels_affine=None):
    image_path = write(folder / "image.nii.gz", image, image_affine)
    labels_path = write(folder / "labels.nii.gz", labels, labels_affine)
    return load_volume(image_path), load_volume(labels_path)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_labels_stored_in_another_orientation(tmp_path, affine, codes):
    """The image's own voxels serve as labels: aligned, both are the same array."""
    values = np.arange(np.prod(GRID), dtype=np.int16).reshape(GRID)
    stored = nib.Nifti1Image(values, AFFINES[affine])
    turned = stored.as_reoriented(axcodes2ornt(codes))
    image, labels = pair(tmp_path, values, np.asarray(turned.dataobj), stored.affine, turned.affine)
    found = aligned_labels(image, labels)
    np.testing.assert_array_equal(found, image.spatial())
    assert found.dtype == np.uint16


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slice_axis_that_only_one_header_names(tmp_path, axis):
    """Sagittal labels of an axial image have other axes, coronal ones other directions too."""
    values = np.arange(np.prod(GRID), dtype=np.int16).reshape(GRID)
    image, _ = pair(tmp_path, values, values)
    stored = nib.Nifti1Image(values, AFFINES["RAS"])
    stored.header.set_dim_info(slice=axis)
    stored.to_filename(tmp_path / "labels.nii.gz")
    labels = load_volume(tmp_path / "labels.nii.gz")
    assert labels.spatial_shape != image.spatial_shape
    np.testing.assert_array_equal(aligned_labels(image, labels), image.spatial())


def test_grids_at_45_degrees_whose_rounding_decides_what_is_axial(tmp_path):
    values = np.arange(np.prod(GRID), dtype=np.int16).reshape(GRID)
    grids = []
    for turn in (np.pi / 4 - 1e-5, np.pi / 4 + 1e-5):
        grid = np.eye(4)
        grid[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        grids.append(grid)
    image, labels = pair(tmp_path, values, values, *grids)
    assert image.orientation != labels.orientation
    np.testing.assert_array_equal(aligned_labels(image, labels), image.spatial())


def test_two_dimensions(tmp_path):
    values = np.arange(30, dtype=np.uint8).reshape(5, 6)
    image, labels = pair(tmp_path, values, values)
    found = aligned_labels(image, labels)
    assert found.shape == (1, 6, 5)
    np.testing.assert_array_equal(found, image.spatial())


def test_rounding_in_headers_is_no_mismatch(tmp_path):
    moved = AFFINES["oblique"] + np.random.default_rng(0).uniform(-1e-3, 1e-3, (4, 4))
    moved[3] = 0, 0, 0, 1
    aligned_labels(*pair(tmp_path, noise(0, GRID), noise(0, GRID), AFFINES["oblique"], moved))


@pytest.mark.parametrize(("off_mm", "scale"), [(0.11, 1), (0.08, 0.2)])
def test_another_origin(tmp_path, off_mm, scale):
    """Farther than 0.1 mm, or than a quarter of a voxel of 0.2 mm."""
    affine = AFFINES["RAS"] @ np.diag([scale, scale, scale, 1])
    moved = affine.copy()
    moved[0, 3] += off_mm
    with pytest.raises(GeometryError, match=rf"lies up to {off_mm:g} mm off the image's"):
        aligned_labels(*pair(tmp_path, noise(0, GRID), noise(0, GRID), affine, moved))


@pytest.mark.parametrize("turn", [0.1, 0.7])
def test_turned_grids(tmp_path, turn):
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = AFFINES["oblique"]
    with pytest.raises(GeometryError):
        aligned_labels(*pair(tmp_path, noise(0, GRID), noise(0, GRID), affine, rotation @ affine))


def test_another_shape(tmp_path):
    with pytest.raises(GeometryError, match=r"shape \(8, 6, 5\) is not the image's \(7, 6, 5\)"):
        aligned_labels(*pair(tmp_path, noise(0, GRID), noise(0, (5, 6, 8))))


def test_4d(tmp_path):
    flat, deep = noise(0, GRID), noise(0, (*GRID, 2))
    with pytest.raises(InputError, match=r"the image is 4D, with 2 time points.*Split it"):
        aligned_labels(*pair(tmp_path, deep, flat))
    with pytest.raises(InputError, match=r"the labels are 4D, with 2 channels.*number them 1, 2"):
        aligned_labels(*pair(tmp_path, flat, deep))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, "hold 0.5 at slice 3, row 3, column 3; expected whole numbers.*Threshold"),
        (-1, "hold -1 at slice 3, row 3, column 3.*Renumber"),
        (65536, "hold 65536 at slice 3, row 3, column 3.*Renumber"),
    ],
)
def test_values_that_are_no_labels(tmp_path, value, message):
    labels = np.zeros(GRID, np.float32)
    labels[1, 2, 3] = value
    with pytest.raises(InputError, match=message):
        aligned_labels(*pair(tmp_path, noise(0, GRID), labels))


def test_the_largest_label(tmp_path):
    labels = np.full(GRID, 65535, np.float64)
    assert aligned_labels(*pair(tmp_path, noise(0, GRID), labels)).min() == 65535

"""From folders to a manifest."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_samri
from napari_samri import load_volume
from napari_samri.datasets import (
    Rules,
    Source,
    image_hash,
    labels_hash,
    measuring,
    prepare,
    prepare_steps,
    read_manifest,
    root_of,
    with_relative_roots,
    write_manifest,
)
from napari_samri.datasets.loading import aligned_labels
from napari_samri.datasets.manifest_file import manifest_to_json
from napari_samri.errors import InputError, InputWarning
from tests.datasets.making import AFFINES, SHAPE, boxes, make_pairs, noise, write, write_pair
from tests.io.test_dicom import make_series

# A handful of patients never fills all splits.
pytestmark = pytest.mark.filterwarnings("ignore::napari_samri.errors.InputWarning")


def images(manifest):
    return [study.image for study in manifest.studies]


def only_problem(manifest):
    (problem,) = manifest.problems
    return problem


def test_what_is_found(tmp_path):
    manifest = prepare(make_pairs(tmp_path / "set"))
    assert napari_samri.prepare is prepare
    assert images(manifest) == [f"p{n}_img.nii.gz" for n in range(3)]
    assert manifest.rows == 9
    assert manifest.left_out == {"slices without labels": 3}
    study = manifest.studies[0]
    # display order: slices from head to foot, so the empty first slice is the last
    assert (study.axis, study.shape, study.spacing_mm) == (0, (4, 14, 12), (3.0, 1.0, 1.0))
    assert [entry.index for entry in study.slices] == [0, 1, 2]
    (region,) = study.slices[0].regions
    assert (region.label, region.pixels, region.components) == (1, 30, 1)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_a_manifest_leads_back_to_its_slices(tmp_path, affine, axis):
    """Whoever reads a manifest's files finds exactly what it says, on any grid and axis."""
    write(tmp_path / "set" / "a_img.nii.gz", noise(0), AFFINES[affine])
    labels = boxes()
    labels[8:11, 10:13, 1:3] = 40
    write(tmp_path / "set" / "a_seg.nii.gz", labels, AFFINES[affine])
    rules = Rules(min_pixels=1, min_share=0, axis=axis)
    write_manifest(tmp_path / "m.json", prepare(tmp_path / "set", rules))
    manifest = read_manifest(tmp_path / "m.json")
    root = root_of(manifest.datasets[0], tmp_path / "m.json")
    (study,) = manifest.studies
    image = load_volume(root / study.image)
    masks = aligned_labels(image, load_volume(root / study.labels))
    assert study.shape == image.spatial_shape
    assert study.axis == (np.argmin(study.shape) if axis is None else axis)
    seen = 0
    for entry in study.slices:
        pixels, mask = (x.take(entry.index, study.axis) for x in (image.spatial(), masks))
        assert pixels.shape == study.slice_shape
        assert (image_hash(pixels), labels_hash(mask)) == (entry.image_hash, entry.labels_hash)
        for region in entry.regions:
            x0, y0, x1, y1 = region.box_xyxy
            rows, columns = np.nonzero(mask == region.label)
            assert (rows.min(), rows.max(), columns.min(), columns.max()) == (y0, y1, x0, x1)
            assert region.pixels == len(rows)
            seen += region.pixels
    assert seen == np.count_nonzero(labels)


def test_two_dimensional_images(tmp_path):
    write(tmp_path / "a_img.nii", noise(0, (20, 30)))
    labels = np.zeros((20, 30), np.float64)
    labels[3:9, 5:17] = 225
    write(tmp_path / "a_seg.nii", labels)
    (study,) = prepare(tmp_path).studies
    assert (study.shape, study.axis) == ((1, 30, 20), 0)
    assert study.slices[0].regions[0].label == 225


def test_dicom_with_labels_in_nifti(tmp_path):
    make_series(tmp_path / "a_img", count=6, shape=(10, 12))
    image = load_volume(tmp_path / "a_img")
    mask = np.zeros(image.array.shape, np.uint8)
    mask[1:4, 2:8, 3:9] = 5
    napari_samri.save_labels(tmp_path / "a_seg.nii.gz", mask, image)
    (study,) = prepare(tmp_path).studies
    assert study.image == "a_img"
    assert [entry.index for entry in study.slices] == [1, 2, 3]
    assert study.slices[0].regions[0].box_xyxy == (3, 2, 8, 7)


def broken(path):
    path.write_bytes(nib.Nifti1Image(noise(9), np.eye(4)).to_bytes()[:-99])


def moved(path):
    affine = AFFINES["RAS"].copy()
    affine[0, 3] = 5
    write(path, boxes(), affine)


PROBLEMS = {
    "image": (broken, "bad_img.nii: the header claims voxels"),
    "labels": (broken, "bad_seg.nii: the header claims voxels"),
    "geometry": (moved, "bad_img.nii, with bad_seg.nii: the labels' grid lies up to 5 mm off"),
    "shape": (lambda path: write(path, boxes((12, 14, 5))), "the labels' shape (5, 14, 12) is not"),
    "4d": (lambda path: write(path, boxes((12, 14, 4, 3))), "the labels are 4D"),
    "fraction": (lambda path: write(path, boxes() / 2), "the labels hold 0.5 at slice"),
    "negative": (
        lambda path: write(path, -boxes().astype(np.int16)),
        "the labels hold -1 at slice",
    ),
    "large": (
        lambda path: write(path, boxes().astype(np.int32) * 70_000),
        "the labels hold 70000 at slice",
    ),
    "empty": (lambda path: write(path, boxes() * 0), "the labels are empty"),
    "missing": (Path.unlink, "bad_img.nii: has no labels"),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_problem_is_listed_and_the_rest_goes_on(tmp_path, kind):
    make_pairs(tmp_path / "set")
    write_pair(tmp_path / "set" / "bad_img.nii", tmp_path / "set" / "bad_seg.nii", 9)
    spoil, text = PROBLEMS[kind]
    spoil(tmp_path / "set" / f"bad_{'img' if kind == 'image' else 'seg'}.nii")
    manifest = prepare(tmp_path / "set")
    assert len(manifest.studies) == 3
    problem = only_problem(manifest)
    assert problem.startswith("set: ")
    assert text in problem
    assert str(tmp_path) not in problem, "manifests move"
    if kind != "missing":
        assert manifest.left_out["studies with problems"] == 1
    # what was left out of the bad study itself does not count
    assert manifest.left_out["slices without labels"] == 3


def test_an_image_of_one_value_and_labels_of_a_few_voxels(tmp_path):
    make_pairs(tmp_path)
    write(tmp_path / "a_img.nii", np.full(SHAPE, 3, np.int16))
    write(tmp_path / "a_seg.nii", boxes())
    few = np.zeros(SHAPE, np.uint8)
    few[0, 0, 0] = 1
    write(tmp_path / "b_img.nii", noise(99))
    write(tmp_path / "b_seg.nii", few)
    constant, small = prepare(tmp_path).problems
    assert "no slice is kept (3 slices of one grey value" in constant
    assert "1 labels on a slice with too few pixels" in small


def test_all_problems_are_listed_at_once(tmp_path):
    make_pairs(tmp_path)
    for number in range(4):
        write_pair(tmp_path / f"b{number}_img.nii", tmp_path / f"b{number}_seg.nii", 50 + number)
        broken(tmp_path / f"b{number}_img.nii")
    assert len(prepare(tmp_path).problems) == 4


def test_nothing_left(tmp_path):
    write_pair(tmp_path / "a_img.nii", tmp_path / "a_seg.nii", 0)
    broken(tmp_path / "a_img.nii")
    with pytest.raises(
        InputError, match=r"nothing is left of 1 studies.*\n.*a_img.nii: the header"
    ):
        prepare(tmp_path)
    with pytest.raises(InputError, match="there is no source"):
        prepare([])


def test_channels_share_labels_that_are_read_once(tmp_path, monkeypatch):
    for channel in range(3):
        write(tmp_path / "imagesTr" / f"a_000{channel}.nii.gz", noise(channel))
    write(tmp_path / "labelsTr" / "a.nii.gz", boxes())
    read = []
    load = measuring.load_volume
    monkeypatch.setattr(
        measuring, "load_volume", lambda path, **rest: read.append(path.name) or load(path, **rest)
    )
    manifest = prepare(tmp_path)
    assert len(manifest.studies) == 3
    assert {study.patient for study in manifest.studies} == {"a"}
    assert sorted(read) == ["a.nii.gz", "a_0000.nii.gz", "a_0001.nii.gz", "a_0002.nii.gz"]


def test_damaged_labels_of_several_channels_are_one_problem(tmp_path):
    for channel in range(2):
        write(tmp_path / "imagesTr" / f"a_000{channel}.nii", noise(channel))
        write(tmp_path / "imagesTr" / f"b_000{channel}.nii", noise(channel + 9))
    write(tmp_path / "labelsTr" / "a.nii", boxes())
    broken(write(tmp_path / "labelsTr" / "b.nii", boxes()))
    manifest = prepare(tmp_path)
    assert len(manifest.studies) == 2
    assert manifest.left_out["studies with problems"] == 2
    assert "labelsTr/b.nii: the header claims" in only_problem(manifest)


def test_duplicates_keep_the_first(tmp_path):
    make_pairs(tmp_path / "one")
    make_pairs(tmp_path / "two", count=4)
    manifest = prepare([tmp_path / "one", tmp_path / "two"])
    assert images(manifest) == [*(f"p{n}_img.nii.gz" for n in range(3)), "p3_img.nii.gz"]
    assert len(manifest.problems) == 3
    assert "are, image and labels, those of one: p0_img.nii.gz" in manifest.problems[0]


def test_duplicates_under_other_names_are_seen(tmp_path):
    make_pairs(tmp_path)
    write(tmp_path / "z_img.nii", noise(0).astype(np.float64))
    write(tmp_path / "z_seg.nii", boxes(label=2))
    manifest = prepare(tmp_path)
    assert len(manifest.studies) == 3
    assert "patients are called z and p0" in only_problem(manifest)
    both = prepare(tmp_path, patient=["^(?:z|p0)_(img)", "p."])
    assert len(both.studies) == 4
    assert not both.problems


def test_zero_shot_sets_keep_what_others_share(tmp_path):
    make_pairs(tmp_path / "old", count=3)
    make_pairs(tmp_path / "new", count=1, first=2)
    (tmp_path / "new" / "p2_img.nii.gz").rename(tmp_path / "new" / "q_img.nii.gz")
    (tmp_path / "new" / "p2_seg.nii.gz").rename(tmp_path / "new" / "q_seg.nii.gz")
    manifest = prepare([tmp_path / "old", tmp_path / "new"], zero_shot=["new"])
    splits = {study.image: study.split for study in manifest.studies}
    assert "p2_img.nii.gz" not in splits
    assert splits["q_img.nii.gz"] == "zero-shot"
    assert images(manifest)[-1] == "q_img.nii.gz", "the order is that of the sources"


def test_a_patient_of_a_zero_shot_set_is_nowhere_else(tmp_path):
    make_pairs(tmp_path / "old", count=3)
    write_pair(tmp_path / "new" / "p1_img.nii", tmp_path / "new" / "p1_seg.nii", 77)
    sources = [tmp_path / "old", tmp_path / "new"]
    manifest = prepare(sources, zero_shot=["new"])
    assert images(manifest) == ["p0_img.nii.gz", "p2_img.nii.gz", "p1_img.nii"]
    assert "the patient p1 is in the zero-shot data set new too" in only_problem(manifest)
    own = prepare(sources, Rules(own_patients=True), zero_shot=["new"])
    assert len(own.studies) == 4
    assert {study.patient for study in own.studies} == {"old/p0", "old/p1", "old/p2", "new/p1"}


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9)), min_size=1, max_size=12),
    st.sets(st.sampled_from("xyz")),
    st.integers(0, 3),
)
def test_nobody_is_in_two_splits(studies, zero_shot, seed):
    """Over data sets, contrasts and zero-shot sets; and adding a set moves nobody."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, (dataset, patient) in enumerate(studies):
            place = root / dataset / f"sub{patient}"
            write_pair(place / f"{number}_img.nii", place / f"{number}_seg.nii", number)
        sources = sorted(root.iterdir())
        held_out = zero_shot & {path.name for path in sources}
        rules = Rules(seed=seed, train=1, validation=1, test=1)
        splits = defaultdict(set)
        manifest = prepare(sources, rules, zero_shot=held_out)
        for study in manifest.studies:
            splits[study.patient].add(study.split)
            assert (study.split == "zero-shot") == (study.dataset in held_out)
        assert all(len(found) == 1 for found in splits.values())
        for study in prepare(sources[:1], rules, zero_shot=held_out & {sources[0].name}).studies:
            if splits[study.patient] and "zero-shot" not in splits[study.patient]:
                assert splits[study.patient] == {study.split}


def test_the_same_bytes_twice(tmp_path):
    make_pairs(tmp_path / "set", count=4)
    write_pair(tmp_path / "set" / "bad_img.nii", tmp_path / "set" / "bad_seg.nii", 9)
    broken(tmp_path / "set" / "bad_img.nii")
    first = manifest_to_json(prepare(tmp_path / "set"))
    assert manifest_to_json(prepare(tmp_path / "set")) == first
    manifest = prepare(tmp_path / "set")
    write_manifest(tmp_path / "m.json", manifest)
    assert read_manifest(tmp_path / "m.json") == manifest


def test_data_and_manifest_can_move_together(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    make_pairs(before / "set")
    first = with_relative_roots(prepare(before / "set"), before)
    before.rename(after)
    second = with_relative_roots(prepare(after / "set"), after)
    assert manifest_to_json(first) == manifest_to_json(second)
    root = root_of(first.datasets[0], after / "m.json")
    assert (root / first.studies[0].image).is_file()


def test_progress_and_cancel(tmp_path):
    make_pairs(tmp_path)
    seen = []
    prepare(tmp_path, progress=seen.append)
    assert [(step.done, step.total, step.what) for step in seen] == [
        (n + 1, 3, f"p{n}_img.nii.gz") for n in range(3)
    ]
    steps = prepare_steps(tmp_path)
    assert next(steps).done == 1
    before = sorted(tmp_path.iterdir())
    steps.close()
    assert sorted(tmp_path.iterdir()) == before


def test_sources_in_all_forms(tmp_path):
    make_pairs(tmp_path)
    for source in (str(tmp_path), Source(tmp_path), f"x={tmp_path}", [tmp_path]):
        assert len(prepare(source).studies) == 3


def test_empty_splits_are_told(tmp_path):
    make_pairs(tmp_path, count=1)
    with pytest.warns(InputWarning, match="no patient is in the split validation, test: 1 in all"):
        prepare(tmp_path, Rules(train=98, validation=1, test=1))


def test_notes_on_files_are_counted_rather_than_repeated(tmp_path):
    for number in range(3):
        image = nib.Nifti1Image(noise(number), None)
        image.to_filename(tmp_path / f"{number}_img.nii")
        nib.Nifti1Image(boxes(), None).to_filename(tmp_path / f"{number}_seg.nii")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prepare(tmp_path, Rules(validation=0, test=0))
    (note,) = caught
    assert str(note.message).startswith("6 notes on files, the first: 0_img.nii: the header has")


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")
def test_names_that_are_no_unicode(tmp_path):
    make_pairs(tmp_path)
    (tmp_path / os.fsdecode(b"\xff_img.nii")).touch()
    manifest = prepare(tmp_path)
    assert "has no labels" in only_problem(manifest)
    assert manifest_to_json(manifest)


def test_real_images(shared_data):
    manifest = prepare(shared_data / "images_labelled")
    studies = {study.patient: study for study in manifest.studies}
    assert len(studies) == 19
    # the README's own table: slices across the axis, by study
    axes = {"samri_knee1": (1, 1), "sct_t1_cord": (42, 13), "spine_vb2_05": (27, 27)}
    for name, (samples, slices) in axes.items():
        study = studies[name]
        assert (study.shape[study.axis], len(study.slices)) == (samples, slices)
    knee = [region.label for region in studies["samri_knee1"].slices[0].regions]
    assert knee == [1, 2, 3, 5, 6]
    assert studies["medpy_flair2d"].shape == (1, 217, 181)
    one_hot, tissue, levels = manifest.problems
    assert "deepreg_prostate00_seg.nii.gz: the labels are 4D, with 3 channels" in one_hot
    assert "show the same image as images_labelled: ptbp_t1_aal_img" in tissue
    assert "show the same image as images_labelled: sct_t2_cord_img" in levels


def test_real_label_sets_of_one_image(shared_data):
    """Named as one patient, both label sets of an image are used, and end in one split."""
    patient = ["^(ptbp_t1|sct_t2)_", "^(.+)_img"]
    manifest = prepare(shared_data / "images_labelled", patient=patient)
    assert len(manifest.problems) == 1
    for name, count in (("ptbp_t1", 2), ("sct_t2", 2)):
        studies = [study for study in manifest.studies if study.patient == name]
        assert len(studies) == count
        assert len({study.split for study in studies}) == 1


def test_real_samri_layout(shared_data):
    manifest = prepare(shared_data / "samri_layout", zero_shot=["DS1"])
    assert [study.slices[0].regions[0].label for study in manifest.studies] == [180] * 4
    assert {region.label for study in manifest.studies for region in study.slices[0].regions} == {
        180,
        225,
    }
    assert {study.split for study in manifest.studies} == {"zero-shot"}
    assert "DS1/testing: the images example_img_* have the numbers 5, 6" in only_problem(manifest)


def test_images_without_labels(tmp_path):
    """All slices but those of one grey value, by content; and they are written as they were."""
    array = noise(1)
    array[:, :, 2] = 7
    write(tmp_path / "set" / "p1.nii.gz", array)
    write(tmp_path / "set" / "p2.nii.gz", noise(2))
    with pytest.raises(InputError, match="no layout"):
        prepare(tmp_path / "set")
    manifest = prepare(Source(tmp_path / "set", layout="images"))
    assert manifest.left_out == {"slices of one grey value, which cannot be normalised": 1}
    assert not manifest.problems
    one, two = manifest.studies
    assert (one.labels, one.patient, two.patient) == ("", "p1", "p2")
    assert [entry.index for entry in one.slices] == [0, 2, 3]
    volume = load_volume(tmp_path / "set" / "p2.nii.gz")
    for entry in two.slices:
        assert entry.image_hash == image_hash(volume.array[entry.index])
        assert (entry.labels_hash, entry.regions) == ("", ())
    write_manifest(tmp_path / "m.json", manifest)
    content = (tmp_path / "m.json").read_bytes()
    write_manifest(tmp_path / "m.json", read_manifest(tmp_path / "m.json"))
    assert (tmp_path / "m.json").read_bytes() == content


def test_an_image_of_one_grey_value_and_without_labels(tmp_path):
    write(tmp_path / "set" / "p1.nii.gz", np.ones(SHAPE, np.int16))
    write(tmp_path / "set" / "p2.nii.gz", noise(2))
    manifest = prepare(Source(tmp_path / "set", layout="images"))
    assert images(manifest) == ["p2.nii.gz"]
    assert "p1.nii.gz, with no labels: no slice is kept (4 slices of one" in only_problem(manifest)

"""``napari-samri segment``: labels on the right voxels, or exit code 2 and nothing written."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pooch
import pytest
from PIL import Image

from napari_samri import known_models, segment
from napari_samri.cli import main
from napari_samri.segment.masks import Candidates

SHAPE = (48, 56, 40)
CENTRE, RADII = np.array([18, 36, 14]), np.array([9, 11, 8])
LOW, HIGH = CENTRE - RADII, CENTRE + RADII
AFFINES = {
    "RAS": np.diag([1, 1, 1, 1.0]),
    "LPI": np.diag([-1, -1, -1, 1.0]),
    "PSR": np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),
    "oblique": np.array([[0.9, 0.3, 0, 5], [-0.3, 0.9, 0.1, 6], [0, -0.1, 1, 7], [0, 0, 0, 1.0]]),
}


def ellipsoid():
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    return (((index - CENTRE) / RADII) ** 2).sum(-1) <= 1


def bright(times=1):
    """Return a bright ellipsoid on a dark ground, off the middle along every axis."""
    noise = np.random.default_rng(0).normal(0, 4, (*SHAPE, times))
    image = 60 + 140 * ellipsoid()[..., None] + noise
    return image.astype(np.int16).squeeze()


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.nii.gz"
    nib.Nifti1Image(bright(), AFFINES["RAS"]).to_filename(path)
    return path


@pytest.fixture
def labels(tmp_path):
    return tmp_path / "labels.nii.gz"


def box_of(axis):
    others = [a for a in range(3) if a != axis]
    return [str(v) for v in (*LOW[others], *HIGH[others])]


def plane(axis):
    return ["--axis", str(axis), "--index", str(CENTRE[axis])]


def run(*arguments):
    """Return the exit code, whether the parser or the work gave it."""
    try:
        return main(["segment", *map(str, arguments), "--device", "cpu"])
    except SystemExit as stop:
        return stop.code


def read(path):
    return np.asarray(nib.load(path).dataobj)


def overlap(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def _pairs(points_xy, point_labels):
    return [] if points_xy is None else zip(points_xy, point_labels, strict=True)


class Thresholder:
    """Stands for a predictor: the mask is what is bright inside the box, to the pixel."""

    needs_window = False

    def embed(self, slice_2d, *, window=None):
        assert window is None
        return SimpleNamespace(pixels=slice_2d, slice_shape=slice_2d.shape, key="one")

    def predict(self, embedding, *, points_xy, point_labels, box_xyxy, mask_logits, multimask):
        assert mask_logits is None
        assert not multimask
        rows, columns = np.indices(embedding.slice_shape)
        x0, y0, x1, y1 = box_xyxy
        mask = (
            (embedding.pixels > 130)
            & (columns >= x0)
            & (columns <= x1)
            & (rows >= y0)
            & (rows <= y1)
        )
        for (x, y), positive in _pairs(points_xy, point_labels):
            mask[int(y), int(x)] = positive
        return Candidates(mask[None], np.ones(1, np.float32), np.zeros((1, 2, 2), np.float32))


@pytest.fixture
def _exact(monkeypatch):
    """Make masks that do not depend on any weights, so that places can be told exactly."""
    monkeypatch.setattr(segment, "load_predictor", lambda *_, **__: Thresholder())


@pytest.mark.usefixtures("_exact")
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", AFFINES)
def test_a_box_in_stored_indices_gives_the_mask_there(tmp_path, labels, name, axis):
    path = tmp_path / "image.nii"
    nib.Nifti1Image(bright(), AFFINES[name]).to_filename(path)
    assert run(path, *plane(axis), "--box", *box_of(axis), "--out", labels) == 0
    expected = np.zeros(SHAPE, bool)
    place = (slice(None),) * axis + (CENTRE[axis],)
    expected[place] = ellipsoid()[place]
    assert np.array_equal(read(labels), expected)


@pytest.mark.usefixtures("_exact")
def test_boxes_include_both_of_their_ends(tmp_path, labels):
    path = tmp_path / "image.nii"
    array = np.full(SHAPE, 200, np.int16)
    array[0] = 0
    nib.Nifti1Image(array, AFFINES["LPI"]).to_filename(path)
    assert run(path, *plane(2), "--box", 3, 7, 5, 11, "--out", labels) == 0
    expected = np.zeros(SHAPE, bool)
    expected[3:6, 7:12, CENTRE[2]] = True
    assert np.array_equal(read(labels), expected)


@pytest.mark.usefixtures("_exact")
def test_prompts_of_a_file_give_their_labels_and_later_ones_lie_over(tmp_path, labels):
    path, prompts = tmp_path / "image.nii", tmp_path / "prompts.json"
    array = np.full(SHAPE, 200, np.int16)
    array[0] = 0
    nib.Nifti1Image(array, AFFINES["PSR"]).to_filename(path)
    entries = [
        {"axis": 2, "index": 12, "label": 300, "boxes": [[2, 2, 9, 9], [20, 20, 22, 22]]},
        {"axis": 2, "index": 12, "label": 2, "boxes": [[5, 5, 12, 12]]},
        {"axis": 0, "index": 30, "label": 3, "boxes": [[1, 2, 3, 4]], "points": [[2, 3, 0]]},
    ]
    content = {"format": "napari-samri-prompts", "version": 1, "prompts": entries}
    prompts.write_text(json.dumps(content))
    assert run(path, "--prompts", prompts, "--out", labels) == 0
    expected = np.zeros(SHAPE, np.uint16)
    expected[2:10, 2:10, 12] = expected[20:23, 20:23, 12] = 300
    expected[5:13, 5:13, 12] = 2
    expected[30, 1:4, 2:5] = 3
    expected[30, 2, 3] = 0
    assert np.array_equal(read(labels), expected)


def test_the_starter_finds_a_bright_disk_in_its_box(image, labels):
    assert run(image, *plane(2), "--box", *box_of(2), "--out", labels) == 0
    assert overlap(read(labels)[..., CENTRE[2]] == 1, ellipsoid()[..., CENTRE[2]]) > 0.6


@pytest.mark.usefixtures("_exact")
def test_a_picture_is_written_beside_the_labels(tmp_path, image, labels):
    png = tmp_path / "overlay.png"
    code = run(image, *plane(2), "--box", *box_of(2), "--out", labels, "--png", png)
    assert code == 0
    picture = np.asarray(Image.open(png)).astype(int)
    assert picture.ndim == 3
    coloured = np.ptp(picture, axis=2) > 30
    assert coloured.any()
    assert not coloured.all()


@pytest.mark.usefixtures("_exact")
def test_one_time_point_of_four_dimensions(tmp_path, labels):
    path = tmp_path / "image.nii"
    nib.Nifti1Image(bright(times=3), AFFINES["RAS"]).to_filename(path)
    work = (path, *plane(2), "--box", *box_of(2), "--out", labels)
    assert run(*work, "--time", 1) == 0
    found = read(labels)
    assert found.shape == (*SHAPE, 3)
    assert found[..., CENTRE[2], 1].any()
    assert not found[..., [0, 2]].any()


@pytest.mark.usefixtures("_exact")
def test_notes_about_the_input_go_to_stderr(tmp_path, labels, capsys):
    array = bright().astype(np.float32)
    array[0, 0, 0] = np.nan
    path = tmp_path / "holes.nii"
    nib.Nifti1Image(array, AFFINES["RAS"]).to_filename(path)
    assert run(path, *plane(2), "--box", *box_of(2), "--out", labels) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "note: holes.nii: 1 voxels" in captured.err
    assert str(labels) in captured.err


def test_the_program_itself_runs_and_stops_with_the_right_codes(tmp_path, image, labels):
    program = [sys.executable, "-m", "napari_samri", "segment"]
    work = ["--axis", "2", "--index", "14", "--box", *box_of(2), "--out", str(labels)]
    for path, code in ((image, 0), (tmp_path / "none.nii", 2)):
        command = [*program, str(path), *work]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
    assert labels.exists()


# --- what bad input gets ------------------------------------------------------------------------


def refused(capsys, folder, *arguments, said, names):
    """Assert exit code 2, one message with the file's name, and nothing new or changed."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert str(names) in error
    assert said in error
    assert "Traceback" not in error
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def save(path, array, affine=AFFINES["RAS"], **fields):
    image = nib.Nifti1Image(array, affine)
    content = bytearray(image.to_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)


def small(*shape, dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def cut_gzip(path):
    save(path, bright())
    import gzip

    path.write_bytes(gzip.compress(path.read_bytes())[:-9])


BAD_IMAGES = {
    "missing": (lambda path: None, "no such file"),
    "no NIfTI": (lambda path: path.write_text("hello"), "not a NIfTI"),
    "cut gzip": (cut_gzip, "damaged"),
    "zero spacing": (
        lambda path: save(path, small(8, 8, 8), sform_code=0, qform_code=1, pixdim=0),
        "spacing",
    ),
    "singular": (
        lambda path: save(path, small(8, 8, 8), srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0]),
        "singular",
    ),
    "all NaN": (lambda path: save(path, np.full((8, 8, 8), np.nan, np.float32)), "NaN"),
    "constant": (lambda path: save(path, np.ones(SHAPE, np.int16)), "constant"),
    "1D": (lambda path: save(path, small(8)), "the shape is"),
    "5D": (lambda path: save(path, small(8, 8, 8, 2, 2)), "the shape is"),
    "RGB": (
        lambda path: save(path, np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])),
        "colours",
    ),
    "short": (
        lambda path: save(path, small(8, 8, 8), dim=[3, 8, 8, 9, 1, 1, 1, 1]),
        "holds",
    ),
    "huge": (
        lambda path: save(path, small(8, 8, 8), dim=[3, 9999, 9999, 99, 1, 1, 1, 1]),
        "--max-voxels",
    ),
}


@pytest.mark.parametrize("fault", BAD_IMAGES)
def test_a_bad_image_is_refused(tmp_path, labels, capsys, fault):
    make, said = BAD_IMAGES[fault]
    path = tmp_path / "bad.nii"
    make(path)
    labels.write_bytes(b"old")
    arguments = (path, *plane(2), "--box", *box_of(2), "--out", labels)
    refused(capsys, tmp_path, *arguments, said=said, names=path)


BAD_PROMPTS = {
    "none": ([*plane(2)], "no prompt"),
    "no slice": (["--box", *box_of(2)], "--axis and --index"),
    "only negative": ([*plane(2), "--point", 5, 5, 0], "negative"),
    "sign": ([*plane(2), "--point", 5, 5, 2], "--point"),
    "box outside": ([*plane(2), "--box", 0, 0, 48, 9], "0 to 47"),
    "box below": ([*plane(2), "--box", -1, 0, 9, 9], "0 to 47"),
    "point outside": ([*plane(2), "--point", 5, 56, 1], "0 to 55"),
    "NaN": ([*plane(2), "--point", "nan", 5, 1], "outside"),
    "box without size": ([*plane(2), "--box", 5, 5, 5, 9], "no size"),
    "box reversed": ([*plane(2), "--box", 9, 9, 5, 5], "no size"),
    "index": (["--axis", 2, "--index", 40, "--box", *box_of(2)], "0 to 39"),
    "negative index": (["--axis", 2, "--index", -1, "--box", *box_of(2)], "0 to 39"),
    "time": ([*plane(2), "--time", 1, "--box", *box_of(2)], "time point"),
}


@pytest.mark.parametrize("fault", BAD_PROMPTS)
def test_a_bad_prompt_is_refused(tmp_path, image, labels, capsys, fault):
    arguments, said = BAD_PROMPTS[fault]
    names = "--point" if fault == "sign" else image
    refused(capsys, tmp_path, image, *arguments, "--out", labels, said=said, names=names)


@pytest.mark.parametrize("time", [[], ["--time", 3], ["--time", -1]])
def test_four_dimensions_need_a_time_point_that_exists(tmp_path, labels, capsys, time):
    path = tmp_path / "image.nii"
    nib.Nifti1Image(bright(times=3), AFFINES["RAS"]).to_filename(path)
    arguments = (path, *plane(2), *time, "--box", *box_of(2), "--out", labels)
    refused(capsys, tmp_path, *arguments, said="0 to 2", names=path)


@pytest.mark.parametrize("extra", [["--axis", 2], ["--time", 0], ["--box", 1, 1, 9, 9]])
def test_a_prompts_file_stands_alone(tmp_path, image, labels, capsys, extra):
    arguments = (image, "--prompts", tmp_path / "p.json", *extra, "--out", labels)
    refused(capsys, tmp_path, *arguments, said="one or the other", names="--prompts")


def test_a_bad_prompts_file_is_refused(tmp_path, image, labels, capsys):
    path = tmp_path / "p.json"
    path.write_text('{"format": "napari-samri-prompts", "version": 1, "prompts": [{"axis": 2}]}')
    arguments = (image, "--prompts", path, "--out", labels)
    refused(capsys, tmp_path, *arguments, said="prompts[0] has no 'index'", names=path)


@pytest.mark.parametrize("arguments", [[], ["--axis", 3], ["--index", "x"], ["--box", 1, 2, 3]])
def test_bad_usage_is_refused(tmp_path, image, capsys, arguments):
    refused(capsys, tmp_path, image, *arguments, said="usage", names="napari-samri segment")


BAD_OUTPUTS = {
    "suffix": (["--out", "{}/labels.mha"], "labels.mha"),
    "picture's suffix": (["--out", "{}/l.nii", "--png", "{}/overlay.jpg"], "overlay.jpg"),
    "folder": (["--out", "{}/none/l.nii"], "none"),
    "picture's folder": (["--out", "{}/l.nii", "--png", "{}/none/o.png"], "none"),
    "the image": (["--out", "{}/image.nii.gz"], "overwrite"),
    "the image's other name": (["--out", "{}/link.nii.gz"], "overwrite"),
    "taken by a folder": (["--out", "{}/folder.nii"], "is a folder"),
    "labels fail after the picture": (["--out", "{}/folder.nii", "--png", "{}/o.png"], "folder"),
    "picture fails before the labels": (["--out", "{}/l.nii", "--png", "{}/p.png"], "p.png"),
}


@pytest.mark.parametrize("fault", BAD_OUTPUTS)
def test_a_bad_output_is_refused(tmp_path, image, capsys, fault):
    arguments, said = BAD_OUTPUTS[fault]
    (tmp_path / "link.nii.gz").symlink_to(image)
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "p.png").mkdir()
    arguments = [argument.format(tmp_path) for argument in arguments]
    work = (image, *plane(2), "--box", *box_of(2), *arguments)
    refused(capsys, tmp_path, *work, said=said, names=tmp_path)


class Evil:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


BAD_MODELS = {
    "unknown": ("sam-of-nobody", "sam-of-nobody"),
    "missing file": ("{}/none.pth", "none.pth"),
    "pickle": ("{}/evil.pth", "evil.pth"),
    "no checkpoint": ("{}/text.pth", "text.pth"),
    "no safetensors": ("{}/text.safetensors", "text.safetensors"),
}


@pytest.mark.parametrize("fault", BAD_MODELS)
def test_a_bad_model_is_refused(tmp_path, image, labels, capsys, monkeypatch, fault):
    model, said = BAD_MODELS[fault]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("text.pth", "text.safetensors"):
        (tmp_path / name).write_text("not a checkpoint at all")
    work = (image, *plane(2), "--box", *box_of(2), "--model", model.format(tmp_path))
    refused(capsys, tmp_path, *work, "--out", labels, said=said, names=said)
    assert not (tmp_path / "pwned").exists()


def test_a_wrong_digest_is_refused(tmp_path, image, labels, capsys):
    specs = known_models().values()
    spec = next(s for s in specs if s.available and s.download and s.download.digest)
    folder = Path(os.environ["NAPARI_SAMRI_MODELS"])
    folder.mkdir(parents=True)
    path = folder / spec.download.filename
    path.write_bytes(b"something else")
    work = (image, *plane(2), "--box", *box_of(2), "--model", spec.id, "--out", labels)
    refused(capsys, tmp_path, *work, said="digest", names=path)
    assert path.read_bytes() == b"something else"


def test_no_network_says_which_file_to_put_where(tmp_path, image, labels, capsys, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    # pooch's handler keeps the stderr of the test that imported it first.
    monkeypatch.setattr(pooch.get_logger(), "handlers", [])
    specs = known_models().values()
    spec = next(s for s in specs if s.available and s.download and s.download.url)
    work = (image, *plane(2), "--box", *box_of(2), "--model", spec.id, "--out", labels)
    refused(
        capsys, tmp_path, *work, said=spec.download.url, names=os.environ["NAPARI_SAMRI_MODELS"]
    )
    assert not list(Path(os.environ["NAPARI_SAMRI_MODELS"]).rglob("*.pth"))

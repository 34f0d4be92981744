"""Labels and the record beside them: both new, or both as they were."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_samri.errors import InputError, InputWarning, StoreError
from napari_samri.geometry import Plane, Volume
from napari_samri.io import load_volume
from napari_samri.io.sidecar import sidecar_path
from napari_samri.prompts import Box, PromptSet
from napari_samri.session.saving import prepare_save, read_saved
from tests.session.fakes import Bench

AFFINE = np.array(
    [[-0.8, 0.05, 0.4, 30], [0.04, 0.9, -0.3, -20], [0.1, 0.07, 4.0, 5], [0, 0, 0, 1]], float
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "image.nii.gz"
    array = np.random.default_rng(0).integers(0, 99, (7, 6, 5)).astype(np.int16)
    nib.Nifti1Image(array, AFFINE).to_filename(path)
    return path


@pytest.fixture
def bench(source: Path) -> Bench:
    """Return a session with two commits, a name and a lock."""
    bench = Bench(load_volume(source))
    bench.load()
    session = bench.session
    for index in (0, 2):
        bench.look(0, index)
        session.set_prompts(PromptSet(boxes=(Box(1, 1, 3, 4),)))
        bench.answer()
        session.commit()
        session.next_object()
    table = session.document.table.change(1, name="Leber — links", colour="#AABBCC", locked=True)
    session.set_table(table)
    return bench


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_comes_back(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    job = prepare_save(bench.session, path)
    expected = bench.session.labels.copy()
    bench.session.undo()  # what is done meanwhile is not in it
    bench.session.labels[:] = 7
    job.run()
    saved = load_volume(path)
    np.testing.assert_array_equal(saved.array, expected)
    np.testing.assert_allclose(nib.load(path).affine, AFFINE, atol=1e-6)
    recorded = read_saved(path)
    assert recorded is not None
    table = recorded.table
    assert next((e.id, e.name, e.colour, e.locked) for e in table) == (
        1,
        "Leber — links",
        "#aabbcc",
        True,
    )
    assert table.active == 3
    assert recorded.commits == bench.session.document.commits
    content = sidecar_path(path).read_text(encoding="utf-8")
    assert "image" not in content  # nor anything else about whose it is


def test_a_record_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    """The file was written when version 1 was made."""
    old = Path(__file__).with_name("version_1.samri.json").read_bytes()
    (tmp_path / "labels.samri.json").write_bytes(old)
    recorded = read_saved(tmp_path / "labels.nii.gz")
    assert recorded is not None
    assert [(e.id, e.name, e.colour, e.locked) for e in recorded.table] == [
        (1, "label 1", "#e69f00", False),
        (4, "liver", "#f0e442", False),
    ]
    assert recorded.table.active == 4
    (commit,) = recorded.commits
    assert (commit.plane, commit.voxels, commit.score) == (Plane(0, 1), 12, 0.9)
    assert commit.prompts.boxes == (Box(1, 1, 3, 4),)
    assert [point.positive for point in commit.prompts.points] == [True, False]


def change_record(path: Path, **changes: object) -> None:
    record = sidecar_path(path)
    content = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**content, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"active": math.inf}, "active is inf; expected a whole number"),
        ({"active": 4}, "there is no label 4"),
        ({"labels": None}, "labels is None; expected a list"),
        ({"labels": [{"id": 1}]}, r"labels\[0\] has no 'name'"),
        ({"version": 2}, "version 2; expected 1"),
        ({"format": 5}, "format 5"),
    ],
)
def test_records_without_sound_names_are_refused_with_the_place(
    bench: Bench, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = tmp_path / "labels.nii.gz"
    prepare_save(bench.session, path).run()
    change_record(path, **changes)
    with pytest.raises(InputError, match=rf"labels\.samri\.json: .*{words}"):
        read_saved(path)


def test_damaged_provenance_costs_neither_names_nor_the_rest(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    prepare_save(bench.session, path).run()
    content = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
    first, second = content["commits"]
    for commits, words in (
        (None, "commits: is None"),
        (5, "commits: is 5"),
        ([first | {"label": math.inf}, second], r"commits\[0\]: label is inf"),
        ([first | {"plane": []}, second], r"commits\[0\]: plane is a list"),
    ):
        change_record(path, commits=commits)
        with pytest.warns(InputWarning, match=words):
            recorded = read_saved(path)
        assert recorded is not None
        assert recorded.table.locked == (1,)
        sound = bench.session.document.commits[1:] if isinstance(commits, list) else ()
        assert recorded.commits == sound


def test_labels_without_a_record(tmp_path: Path) -> None:
    assert read_saved(tmp_path / "labels.nii.gz") is None


class Refusal:
    """A disk that is full after so many writes."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "failing",
    [
        "nibabel.Nifti1Image.to_filename",
        "pathlib.Path.replace",
    ],
)
def test_a_disk_that_refuses_leaves_the_old_files(
    bench: Bench, tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.nii.gz"
    prepare_save(bench.session, path).run()
    before = contents(tmp_path)
    bench.session.undo()
    bench.session.undo()
    job = prepare_save(bench.session, path)
    with monkeypatch.context() as patch:
        patch.setattr(failing, Refusal(OSError(28, "No space left on device")))
        with pytest.raises(StoreError, match="No space left"):
            job.run()
    assert contents(tmp_path) == before
    job.run()
    assert contents(tmp_path) != before


def test_a_folder_that_is_not_there(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder exists"):
        prepare_save(bench.session, tmp_path / "no" / "labels.nii.gz").run()


def test_the_image_itself_is_never_overwritten(bench: Bench, source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.nii.gz"
    link.symlink_to(source)
    for path in (source, str(source), link):
        with pytest.raises(InputError, match="image itself"):
            prepare_save(bench.session, path)
    prepare_save(bench.session, tmp_path / "other.nii.gz").run()


def test_an_image_that_is_gone_does_not_matter(bench: Bench, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    prepare_save(bench.session, path).run()
    source.unlink()
    prepare_save(bench.session, path).run()


def test_only_nifti(bench: Bench, tmp_path: Path) -> None:
    for name in ("labels", "labels.png", "labels.nii.bak"):
        with pytest.raises(InputError, match=r"\.nii"):
            prepare_save(bench.session, tmp_path / name)


def test_images_without_a_files_grid(bench: Bench, tmp_path: Path) -> None:
    bench.session.grid_is_known = False
    with pytest.raises(InputError, match="grid"):
        prepare_save(bench.session, tmp_path / "labels.nii.gz")


def test_what_belongs_to_no_volume(bench: Bench, tmp_path: Path) -> None:
    assert isinstance(bench.volume, Volume)
    assert sidecar_path(tmp_path / "labels.nii.gz") == tmp_path / "labels.samri.json"
    prepare_save(bench.session, tmp_path / "labels.nii").run()
    assert (tmp_path / "labels.samri.json").exists()


@pytest.mark.parametrize(
    "failing", ["pathlib.Path.write_text", "napari_samri.io.sidecar.replacing"]
)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TypeError("int64")])
def test_labels_are_saved_where_their_record_cannot_be(
    bench: Bench, tmp_path: Path, failing: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.nii.gz"
    job = prepare_save(bench.session, path)
    with monkeypatch.context() as patch:
        patch.setattr(failing, Refusal(error))
        told = job.run()
    assert "the labels were saved, but the record" in told
    np.testing.assert_array_equal(load_volume(path).array, bench.session.labels)
    assert not sidecar_path(path).exists()
    assert job.run() == ""
    assert sidecar_path(path).exists()

"""A whole annotation without a window: from opening an image to saved labels, and its end."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri._napari.annotation import Annotation, annotations_of
from napari_samri._napari.layers import layer_options
from napari_samri.errors import InputError, SamriError, StoreError
from napari_samri.geometry import Plane
from napari_samri.io import load_volume
from napari_samri.io.sidecar import sidecar_path
from napari_samri.prompts import Box, Point
from napari_samri.segment.protocol import Answered, Load, Loaded, Predict, Reply
from napari_samri.session.journal import journals_dir
from tests.session.fakes import FakeEngine, drawn_mask, make_info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.layers import Labels

SHAPE = (64, 56, 5)  # as stored: the display order is slice, row, column


@pytest.fixture
def source(tmp_path: Path, write_nifti: Callable[..., Path]) -> Path:
    x, y, _ = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = ((x - 30) / 14) ** 2 + ((y - 28) / 10) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 5, SHAPE)
    return write_nifti("head.nii.gz", (100 * inside + noise + 50).astype(np.int16))


class Desk:
    """An annotation on a fake engine, which answers when it is told to."""

    def __init__(self, source: Path, labels: Labels | None = None, **options: Any) -> None:
        self.viewer = ViewerModel()
        self.volume = load_volume(source)
        self.image = self.viewer.add_image(self.volume.array, **layer_options(self.volume, "head"))
        self.engine = FakeEngine()
        self.annotation = Annotation(
            self.viewer, self.image, labels, engine=self.engine, ahead=0, **options
        )
        annotations_of(self.viewer)[id(self.image)] = self.annotation
        self.session = self.annotation.session

    def load(self) -> None:
        self.annotation.use_model("fake")
        number = self.engine.of(Load)[-1].number
        self.engine.events.put(Reply(number, Loaded(info=make_info())))
        self.annotation.wait(5)

    def answer(self) -> None:
        call = self.engine.of(Predict)[-1]
        masks = drawn_mask(call)[None]
        answer = Answered(masks=masks, scores=np.ones(1, np.float32))
        self.engine.events.put(Reply(call.number, answer))
        self.annotation.wait(5)

    def commit(self, index: int = 0) -> None:
        self.annotation.go_to(index)
        self.annotation.add_box(10, 12, 30, 40)
        self.answer()
        self.session.commit()


@pytest.fixture
def desk(source: Path) -> Desk:
    desk = Desk(source)
    desk.load()
    return desk


def journals() -> int:
    return len(list(journals_dir().glob("*.journal")))


# Scripting


def test_a_script(desk: Desk, tmp_path: Path) -> None:
    annotation = desk.annotation
    annotation.go_to(3, axis=1)
    assert desk.session.plane == Plane(1, 3)
    annotation.go_to(2)
    annotation.add_box(10.1, 12.2, 30.3, 40.4)
    annotation.add_point(15, 20)
    annotation.add_point(50, 2, positive=False)
    annotation.add_points([(11, 13), (12, 14)], "negative")
    prompts = desk.session.document.prompts(Plane(0, 2))
    assert len(prompts.points) == 4
    assert [point.positive for point in prompts.points] == [True, False, False, False]
    desk.answer()
    desk.session.commit()
    path = tmp_path / "labels.nii.gz"
    annotation.save(path)
    assert not desk.session.unsaved
    saved = load_volume(path)
    np.testing.assert_array_equal(saved.array, desk.session.labels)
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(desk.volume.grid.path).affine)
    record = json.loads(sidecar_path(path).read_text())
    assert record["commits"][0]["plane"]["index"] == 2


def test_coordinates_of_scripts_are_those_of_the_layers(desk: Desk) -> None:
    """Otherwise the next thing that is drawn would round them, as a step of its own."""
    desk.annotation.go_to(1)
    desk.annotation.add_box(10.1, 12.2, 30.3, 40.4)
    desk.annotation.add_point(0.7, 0.3)
    steps = desk.session.revision
    desk.annotation.go_to(2)
    desk.annotation.canvas.points.add([[2, 5, 5]])
    assert desk.session.revision == steps + 1
    assert desk.session.document.prompts(Plane(0, 2)).points == (Point(5, 5),)


def test_what_scripts_get_wrong(desk: Desk, tmp_path: Path) -> None:
    annotation = desk.annotation
    for action in (
        lambda: annotation.go_to(99),
        lambda: annotation.add_box(500, 500, 600, 600),
        lambda: annotation.add_points([(1, 1)], "neutral"),
        lambda: annotation.save(tmp_path / "labels.txt"),
        annotation.restore,
    ):
        with pytest.raises(InputError):
            action()
    desk.viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="no slice"):
        annotation.add_point(1, 1)


def test_numbers_of_scripts(desk: Desk, tmp_path: Path) -> None:
    """As NumPy has them: what is kept can be compared and written down."""
    annotation = desk.annotation
    annotation.go_to(np.int64(2), np.uint8(0))
    desk.session.activate(np.int64(2))
    annotation.add_box(*np.array([10, 12, 30, 40], np.int16))
    annotation.add_points(np.array([[11, 13]], np.float32))
    annotation.add_point(np.float64(12), np.int8(14), positive=np.False_)
    points = desk.session.document.prompts(Plane(0, 2)).points
    assert points == (Point(11, 13), Point(12, 14, False))
    desk.answer()
    desk.session.commit()
    annotation.save(tmp_path / "labels.nii.gz")
    record = json.loads(sidecar_path(tmp_path / "labels.nii.gz").read_text())
    assert record["active"] == 2
    np.testing.assert_array_equal(
        load_volume(tmp_path / "labels.nii.gz").array, desk.session.labels
    )
    assert set(np.unique(desk.session.labels)) == {0, 2}


@pytest.mark.parametrize("value", ["3", 1.5, np.nan, True, None, [3], 10**30])
def test_what_scripts_give_for_numbers(desk: Desk, value: Any) -> None:
    annotation, before = desk.annotation, desk.session.document
    for action in (
        lambda: annotation.go_to(value),
        lambda: desk.session.activate(value),
        lambda: desk.session.remove_label(value),
        lambda: annotation.go_to(1, value),
        lambda: annotation.add_points(np.array([10.0, 9.0, 12.0, 11.0])),
        lambda: annotation.add_points([(1, "2")]),
        lambda: annotation.add_point(1, [value]),
        lambda: annotation.add_point(1, 2, positive="yes"),
        lambda: annotation.add_box(1, 2, 3, "4"),
        lambda: annotation.wait("long"),
        lambda: desk.session.document.table.change(1, name=3),
        lambda: desk.session.document.table.change(1, colour="red"),
    ):
        with pytest.raises(InputError):
            action()
    assert desk.session.document == before


def test_waiting_raises_what_went_wrong(desk: Desk) -> None:
    desk.annotation.go_to(1)
    desk.annotation.add_box(1, 1, 9, 9)
    with pytest.raises(SamriError, match="no answer within"):
        desk.annotation.wait(0.1)
    call = desk.engine.of(Predict)[-1]
    from napari_samri.jobs.events import Failed

    desk.engine.events.put(Reply(call.number, Failed(error="ModelError", text="it broke")))
    with pytest.raises(SamriError, match="it broke"):
        desk.annotation.wait(5)
    desk.annotation.wait(5)


def test_what_others_wrote_into_the_labels_is_saved(desk: Desk, tmp_path: Path) -> None:
    desk.annotation.canvas.labels.data[1, 2, 3] = 1  # without a word
    desk.annotation.save(tmp_path / "labels.nii")
    assert load_volume(tmp_path / "labels.nii").array[1, 2, 3] == 1


# Journals


def test_unsaved_work_is_offered_again(source: Path, tmp_path: Path) -> None:
    first = Desk(source)
    first.load()
    assert first.annotation.recovered is None
    first.commit(1)
    first.annotation.go_to(3)
    first.annotation.add_box(1, 2, 9, 9)
    expected = first.session.labels.copy()
    first.annotation.close()
    assert journals() == 1

    second = Desk(source)
    second.load()
    assert second.annotation.recovered is not None
    assert not second.session.labels.any()
    second.annotation.restore()
    assert second.annotation.recovered is None
    np.testing.assert_array_equal(second.session.labels, expected)
    np.testing.assert_array_equal(second.annotation.canvas.labels.data, expected)
    second.annotation.go_to(3)
    assert second.session.document.prompts(Plane(0, 3)).boxes == (Box(1, 2, 9, 9),)
    assert len(second.annotation.canvas.shapes.data) == 1
    assert journals() == 1
    second.annotation.save(tmp_path / "labels.nii.gz")
    second.annotation.close()
    assert journals() == 0
    assert Desk(source).annotation.recovered is None


def test_unsaved_work_can_be_let_go(source: Path) -> None:
    first = Desk(source)
    first.load()
    first.commit()
    first.annotation.close()
    second = Desk(source)
    second.annotation.forget_recovered()
    second.annotation.forget_recovered()
    second.annotation.close()
    assert journals() == 0


def test_without_autosave_nothing_is_written(source: Path) -> None:
    desk = Desk(source, autosave=False)
    desk.load()
    desk.commit()
    desk.annotation.close()
    assert not journals_dir().exists()


def test_a_journal_that_cannot_be_written_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("NAPARI_SAMRI_STATE", str(tmp_path / "file"))
    desk = Desk(source)
    desk.load()
    told: list[Exception] = []
    desk.session.failed.connect(told.append)
    desk.annotation.go_to(1)
    desk.annotation.add_point(3, 3)
    desk.annotation.journal.flush()
    desk.annotation.pump(1)
    assert [type(error) for error in told] == [StoreError]
    desk.annotation.close()


# Saved labels are gone on with


def test_names_and_locks_come_back(source: Path, tmp_path: Path) -> None:
    first = Desk(source)
    first.load()
    first.commit(1)
    table = first.session.document.table.change(1, name="skull", colour="#123456", locked=True)
    first.session.set_table(table.add("brain"))
    path = tmp_path / "labels.nii.gz"
    first.annotation.save(path)
    first.annotation.close()

    viewer = ViewerModel()
    volume, labels = load_volume(source), load_volume(path)
    image = viewer.add_image(volume.array, **layer_options(volume, "head"))
    layer = viewer.add_labels(labels.array.copy(), **layer_options(labels, "labels"))
    annotation = Annotation(viewer, image, layer, engine=FakeEngine())
    table = annotation.session.document.table
    assert (table[1].name, table[1].colour, table[1].locked) == ("skull", "#123456", True)
    assert table[2].name == "brain"
    assert not annotation.session.unsaved
    annotation.close()


def test_an_image_that_cannot_be_used_adds_nothing() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True)
    with pytest.raises(InputError, match="RGB"):
        Annotation(viewer, image, engine=FakeEngine())
    assert list(viewer.layers) == [image]


# The end


@pytest.mark.parametrize("which", ["image", "labels", "all"])
def test_it_ends_with_its_layers(desk: Desk, which: str) -> None:
    desk.commit(1)
    reasons: list[str] = []
    desk.annotation.ended.connect(reasons.append)
    canvas = desk.annotation.canvas
    if which == "all":
        desk.viewer.layers.clear()
    else:
        desk.viewer.layers.remove(canvas.image if which == "image" else canvas.labels)
    assert desk.annotation.closed
    assert len(reasons) == 1
    assert "removed" in reasons[0]
    assert not any(layer in desk.viewer.layers for layer in canvas.temporary)
    assert desk.engine.closed
    assert annotations_of(desk.viewer) == {}
    assert journals() == 1  # what was not saved is offered again


def test_nothing_stays_after_closing(source: Path) -> None:
    threads = set(threading.enumerate())
    desk = Desk(source)
    desk.load()
    desk.commit()
    alive = [weakref.ref(thing) for thing in (desk.annotation, desk.session, desk.viewer)]
    desk.annotation.close()
    desk.annotation.close()
    desk.session.undo()  # a reference that somebody kept does no harm
    desk.annotation.wait(1)
    assert set(threading.enumerate()) == threads
    del desk
    gc.collect()
    assert [reference() for reference in alive] == [None] * 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_with_the_starter_in_its_process(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = set(threading.enumerate())
    viewer = ViewerModel()
    volume = load_volume(source)
    image = viewer.add_image(volume.array, **layer_options(volume, "head"))
    annotation = Annotation(viewer, image, ahead=1)
    annotation.use_model(device="cpu")
    annotation.wait(300)
    annotation.go_to(2)
    truth = volume.array[2] > 100
    rows, columns = np.nonzero(truth)
    annotation.add_box(columns.min(), rows.min(), columns.max(), rows.max())
    annotation.wait(300)
    annotation.session.commit()
    mask = annotation.session.labels[2] > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8
    assert annotation.session.document.commits[0].model == "starter"

    pid = annotation.engine.pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGKILL)
    annotation.go_to(3)
    annotation.add_box(columns.min(), rows.min(), columns.max(), rows.max())
    end = time.monotonic() + 300
    while annotation.session.preview is None and time.monotonic() < end:
        try:
            annotation.wait(300)
        except SamriError:
            annotation.session.run()
    annotation.session.commit()
    assert annotation.session.labels[3].any()
    annotation.save(tmp_path / "labels.nii.gz")
    annotation.close()
    end = time.monotonic() + 60
    while set(threading.enumerate()) - threads and time.monotonic() < end:
        time.sleep(0.05)
    assert set(threading.enumerate()) <= threads
    assert annotation.engine.pid is None  # type: ignore[attr-defined]

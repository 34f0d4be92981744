"""Autosave: what was done comes back after a crash, and is offered only then."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_samri.codec import to_plain
from napari_samri.errors import InputError, InputWarning, StoreError
from napari_samri.geometry import Plane
from napari_samri.jobs.wire import Message, encode_message
from napari_samri.prompts import Box, Point, PromptSet
from napari_samri.session import journal as journal_module
from napari_samri.session.history import Document
from napari_samri.session.journal import Journal, Page, image_identity, journals_dir
from napari_samri.session.recovery import sweep_journals
from tests.session.fakes import Bench, make_volume

ROOT = Path(__file__).parents[2]
BOX = PromptSet(boxes=(Box(1, 1, 3, 4),))


class Kept(Bench):
    """A bench whose session has a journal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.load()
        self.failures: list[StoreError] = []
        self.journal = Journal(self.volume, self.session.labels, self.failures.append)
        self.session.stepped.connect(self.journal.write)

    def commit(self, index: int = 0) -> None:
        self.look(0, index)
        self.session.set_prompts(BOX)
        self.answer()
        self.session.commit()

    def abandon(self) -> None:
        """End as a crash does: nothing is deleted, the lock goes."""
        self.journal.close(keep=True)


def journals() -> list[str]:
    return sorted(path.suffix for path in journals_dir().glob("*"))


# Killed


@pytest.mark.parametrize("mode", ["wait", "busy"])
def test_killed(mode: str) -> None:
    """All that was committed and the open prompts are there, to the last step written."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "tests.session.crashing", mode]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        voxels = int(process.stdout.readline())
        if mode == "wait":
            process.stdout.readline()
        else:
            time.sleep(0.5)
        assert sweep_journals(make_volume()) is None  # its session lives
        process.kill()
    recovered = sweep_journals(make_volume())
    assert recovered is not None
    assert np.count_nonzero(recovered.labels) == voxels == 12 + 16
    document = recovered.document
    assert [commit.plane for commit in document.commits] == [Plane(0, 0), Plane(0, 1)]
    assert document.prompts(Plane(0, 2)).boxes == (Box(1, 1, 5, 4),)
    assert document.reopened[Plane(0, 1)].label == 2
    assert document.reopened[Plane(0, 1)].mask.array.sum() == 16
    assert document.prompts(Plane(0, 1)).points[0] == Point(0.1, 2)
    assert (document.table[1].name, document.table[1].locked) == ("liver", True)

    bench = Bench()
    bench.load()
    bench.session.restore(recovered)
    np.testing.assert_array_equal(bench.session.labels, recovered.labels)
    bench.session.undo()
    assert not bench.session.labels.any()
    recovered.discard()
    assert sweep_journals(make_volume()) is None
    assert journals() == []


# Offered, or not


def test_nothing_done_leaves_nothing() -> None:
    bench = Kept()
    bench.look()
    bench.journal.mark_saved()
    bench.journal.flush()
    bench.journal.close(keep=True)
    assert journals() == []
    assert sweep_journals(bench.volume) is None


def test_labels_that_were_there_come_back_too() -> None:
    labels = np.random.default_rng(0).integers(0, 9, (5, 6, 7)).astype(np.int32)
    bench = Kept(labels=labels)
    bench.commit()
    bench.abandon()
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    np.testing.assert_array_equal(recovered.labels, bench.session.labels)
    assert recovered.labels.dtype == np.int32
    assert abs(recovered.time - time.time()) < 600


@pytest.mark.parametrize("shape", [(6, 7), (2, 5, 6, 7)])
def test_2d_and_4d(shape: tuple[int, ...]) -> None:
    bench = Kept(volume=make_volume(shape))
    bench.look(0, 0, 1 if len(shape) == 4 else None)
    bench.session.set_prompts(BOX)
    bench.answer()
    bench.session.commit()
    bench.abandon()
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    np.testing.assert_array_equal(recovered.labels, bench.session.labels)


def test_undo_and_redo_are_followed() -> None:
    bench = Kept()
    bench.commit(0)
    bench.commit(1)
    bench.session.undo()
    bench.session.undo()
    bench.session.undo()
    bench.session.redo()
    bench.commit(3)
    bench.abandon()
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    np.testing.assert_array_equal(recovered.labels, bench.session.labels)
    assert recovered.document.commits == bench.session.document.commits
    assert recovered.document.drawn == bench.session.document.drawn


def test_a_session_that_lives_is_not_offered() -> None:
    bench = Kept()
    bench.commit()
    bench.journal.flush()
    assert sweep_journals(bench.volume) is None
    bench.abandon()
    assert sweep_journals(bench.volume) is not None


def test_saved_work_is_not_offered() -> None:
    bench = Kept()
    bench.commit()
    bench.journal.mark_saved()
    bench.abandon()
    assert sweep_journals(bench.volume) is None
    assert journals() == []


def test_work_after_saving_is_offered_with_what_was_before() -> None:
    bench = Kept()
    bench.commit(0)
    bench.journal.mark_saved()
    bench.commit(1)
    bench.abandon()
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    np.testing.assert_array_equal(recovered.labels, bench.session.labels)
    assert journals() == [".journal"], "what is only looked at keeps no lock"


def test_the_choice_of_a_label_is_no_unsaved_work() -> None:
    bench = Kept()
    bench.session.next_object()
    bench.commit(0)
    bench.journal.mark_saved()
    bench.session.activate(1)
    bench.abandon()
    assert sweep_journals(bench.volume) is None


def test_a_session_that_ended_well_leaves_nothing() -> None:
    threads = threading.active_count()
    bench = Kept()
    bench.commit()
    bench.journal.close(keep=False)
    bench.journal.close(keep=False)
    assert journals() == []
    assert threading.active_count() == threads


def test_another_images_work_is_not_offered() -> None:
    bench = Kept()
    bench.commit()
    bench.abandon()
    other = replace(bench.volume, array=bench.volume.array + 1)
    assert image_identity(other) != image_identity(bench.volume)
    assert sweep_journals(other) is None
    assert sweep_journals(make_volume((5, 6, 8))) is None


def test_an_image_of_a_file_is_known_by_its_path(tmp_path: Path) -> None:
    volume = make_volume()
    grid = replace(volume.grid, path=tmp_path / "patient.nii.gz")
    bench = Kept(volume=replace(volume, grid=grid))
    bench.commit()
    bench.abandon()
    assert sweep_journals(volume) is None
    assert sweep_journals(bench.volume) is not None
    for path in journals_dir().glob("*"):
        assert "patient" not in path.name
        assert b"patient" not in path.read_bytes()


def test_the_newest_comes_first_and_discarding_it_leaves_the_older() -> None:
    for index in (0, 1):
        bench = Kept()
        bench.commit(index)
        bench.abandon()
        os.utime(bench.journal.path, (index + 1, index + 1))
    for index in (1, 0):
        recovered = sweep_journals(make_volume())
        assert recovered is not None
        assert recovered.document.commits[0].plane == Plane(0, index)
        recovered.discard()
    assert sweep_journals(make_volume()) is None


# Damaged


def test_a_torn_last_step_is_left_out() -> None:
    bench = Kept()
    bench.commit(0)
    bench.session.next_object()
    before = bench.session.labels.copy()
    bench.commit(1)
    bench.abandon()
    content = bench.journal.path.read_bytes()
    bench.journal.path.write_bytes(content[:-5])
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    np.testing.assert_array_equal(recovered.labels, before)
    assert recovered.document.prompts(Plane(0, 1)) == BOX  # of the step before the commit


def _frame(arrays: dict[str, Any] | None = None, **head: Any) -> bytes:
    return encode_message(Message(head, arrays or {}))


def _bytes(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8)


def _beginning(arrays: dict[str, Any] | None = None, **changes: Any) -> bytes:
    head = {"kind": "session", "version": 1, "shape": [5, 6, 7], "dtype": "<u2"}
    return _frame(arrays, **head | changes)


def _step(arrays: dict[str, Any] | None = None, **changes: Any) -> bytes:
    document = to_plain(Page.of(Document()))
    return _frame(
        arrays, **{"kind": "step", "kept": 0, "added": [], "document": document} | changes
    )


COMMIT = {"plane": {"axis": 0, "index": 0, "time": None}, "label": math.inf}
ZEROS = zlib.compress(bytes(1 << 24))
DAMAGED = {
    "nonsense": b"nonsense, and more than a few bytes of it",
    "version": _beginning(version=99),
    "shape of text": _beginning(shape="x"),
    "huge shape": _beginning(shape=[100_000, 100_000, 10_000]),
    "other shape": _beginning(shape=[5, 6, 8]),
    "infinite shape": _beginning(shape=[5, 6, math.inf]),
    "no integers": _beginning(dtype="<f4"),
    "objects": _beginning(dtype="O"),
    "no dtype": _beginning(dtype="(9,9)"),
    "bomb": _beginning({"base": _bytes(ZEROS)}),
    "torn base": _beginning({"base": _bytes(zlib.compress(bytes(420))[:-6])}),
    "no base": _beginning({"base": _bytes(b"12345")}),
    "no step": _beginning() + _frame(kind="step"),
    "other kind": _beginning() + _frame(kind=[]),
    "commit": _beginning() + _step(added=[1]),
    "infinite commit": _beginning() + _step(added=[COMMIT]),
    "kept": _beginning() + _step(kept=math.inf),
    "kept of none": _beginning() + _step(kept=1),
    "outside": _beginning() + _step({"where": np.array([210]), "after": np.array([1])}),
    "negative": _beginning() + _step({"where": np.array([-1]), "after": np.array([1])}),
    "too many": _beginning() + _step({"where": np.array([1]), "after": np.array([1, 2])}),
    "floats": _beginning() + _step({"where": np.array([1.0]), "after": np.array([1])}),
    "overflow": _beginning() + _step({"where": np.array([1]), "after": np.array([65536])}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_journal_is_told_of_and_takes_no_other_along(content: bytes) -> None:
    bench = Kept()
    bench.commit()
    bench.abandon()
    os.utime(bench.journal.path, (1, 1))
    damaged = journals_dir() / f"{image_identity(bench.volume)}-newer.journal"
    damaged.write_bytes(content)
    with pytest.warns(InputWarning, match=damaged.name):
        recovered = sweep_journals(bench.volume)
    assert recovered is not None
    assert recovered.path == bench.journal.path
    assert damaged.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"SMRI", _beginning()[:-3]])
def test_a_crash_before_the_first_step_leaves_nothing_to_tell(content: bytes) -> None:
    path = journals_dir() / f"{image_identity(make_volume())}-x.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert sweep_journals(make_volume()) is None


def test_a_damaged_step_costs_what_follows_and_is_told_of() -> None:
    bench = Kept()
    bench.commit(0)
    before = bench.session.labels.copy()
    bench.journal.flush()
    place = bench.journal.path.stat().st_size
    bench.commit(1)
    bench.commit(2)
    bench.abandon()
    content = bytearray(bench.journal.path.read_bytes())
    content[place + 40] ^= 1
    bench.journal.path.write_bytes(content)
    with pytest.warns(InputWarning, match=rf"its last {len(content) - place:,} bytes"):
        recovered = sweep_journals(bench.volume)
    assert recovered is not None
    np.testing.assert_array_equal(recovered.labels, before)


def test_a_journal_whose_first_step_is_damaged_is_not_deleted() -> None:
    bench = Kept()
    bench.commit(0)
    bench.abandon()
    content = bytearray(bench.journal.path.read_bytes())
    content[content.index(b"SMRI", 4) + 40] ^= 1
    bench.journal.path.write_bytes(content)
    with pytest.warns(InputWarning, match="damaged after 0 steps"):
        assert sweep_journals(bench.volume) is None
    assert bench.journal.path.read_bytes() == content


MASK = {"shape": [6, 7], "bits": "AAAAAAAA"}
PLANE = {"axis": 0, "index": 2, "time": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"drawn": 3},
        {"table": None},
        {"drawn": [{"plane": PLANE | {"index": 5}, "prompts": {}}]},
        {"drawn": [{"plane": PLANE | {"index": math.inf}, "prompts": {}}]},
        {"reopened": [{"plane": PLANE, "label": 1, "mask": MASK | {"shape": [10**6, 10**6]}}]},
        {"reopened": [{"plane": PLANE, "label": 1, "mask": MASK | {"shape": [7, 6]}}]},
        {"reopened": [{"plane": PLANE, "label": 1, "mask": MASK | {"shape": [-6, -7]}}]},
        {"reopened": [{"plane": PLANE, "label": 1, "mask": MASK | {"bits": "AAAAAAAB"}}]},
        {"reopened": [{"plane": PLANE, "label": 1, "mask": MASK | {"bits": "?"}}]},
    ],
)
def test_labels_are_recovered_where_prompts_and_names_are_not(changes: dict[str, Any]) -> None:
    volume = make_volume()
    path = journals_dir() / f"{image_identity(volume)}-x.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    edit = {"where": np.array([3, 209]), "after": np.array([1, 9])}
    document = to_plain(Page.of(Document())) | changes
    path.write_bytes(_beginning() + _step(edit, document=document))
    with pytest.warns(InputWarning, match="without its prompts and names"):
        recovered = sweep_journals(volume)
    assert recovered is not None
    assert np.flatnonzero(recovered.labels).tolist() == [3, 209]
    assert [entry.id for entry in recovered.document.table] == [1, 9]
    bench = Bench(volume)
    bench.load()
    bench.session.restore(recovered)
    assert bench.session.labels[4, 5, 6] == 9


# Without room


def test_a_folder_that_cannot_be_written_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("NAPARI_SAMRI_STATE", str(tmp_path / "file"))
    bench = Kept()
    assert sweep_journals(bench.volume) is None
    for index in range(3):
        bench.commit(index)
    bench.journal.flush()
    assert len(bench.failures) == 1
    assert isinstance(bench.failures[0], StoreError)
    assert bench.session.labels[2].any()
    bench.journal.close(keep=False)


@pytest.mark.parametrize("what", ["write", "fsync"])
def test_a_disk_that_fills_is_told_of_once(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Kept()
    bench.commit(0)
    bench.journal.flush()

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    if what == "fsync":
        monkeypatch.setattr("napari_samri.session.journal.os.fsync", refuse)
    else:
        monkeypatch.setattr("napari_samri.session.journal.encode_message", refuse)
    for index in range(1, 4):
        bench.commit(index)
        bench.journal.flush()
    assert len(bench.failures) == 1
    assert "No space left" in str(bench.failures[0])
    bench.abandon()
    monkeypatch.undo()


def test_recovered_labels_that_do_not_fit_are_refused() -> None:
    bench = Kept(labels=np.zeros((5, 6, 7), np.uint16))
    bench.session.activate(300)
    bench.commit()
    bench.abandon()
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    with pytest.raises(InputError, match="uint8"):
        recovered.edit(np.zeros((5, 6, 7), np.uint8))
    edit = recovered.edit(np.zeros((5, 6, 7), np.int32))
    assert edit.after.dtype == np.int32


def test_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(journal_module.STATE_VARIABLE)
    assert journals_dir().parts[-2:] == ("napari-samri", "sessions")
    monkeypatch.setenv(journal_module.STATE_VARIABLE, "~/there")
    assert journals_dir() == Path.home() / "there"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), 1),
        (ValueError("Out of range"), 1),
        (RecursionError("deep"), 1),
        (KeyError(), 0),
    ],
)
def test_a_step_that_cannot_be_written_is_told_of_once_and_nobody_waits(
    error: Exception, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not at an error that is a fault of ours: that one surfaces in its thread."""
    bench = Kept()
    bench.commit()
    bench.journal.flush()

    def fail(_: Message) -> bytes:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "encode_message", fail)
        bench.commit(1)
        bench.journal.flush()
    bench.commit(2)
    bench.journal.flush()
    bench.abandon()
    assert len(bench.failures) == told
    assert all("cannot be kept safe from a crash" in str(each) for each in bench.failures)
    recovered = sweep_journals(bench.volume)
    assert recovered is not None
    assert len(recovered.document.commits) == 1, "what was written before is still there"


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX")
def test_a_file_whose_name_is_no_unicode_has_a_journal_of_its_own() -> None:
    volume = make_volume()
    named = [
        replace(volume, grid=replace(volume.grid, path=Path(os.fsdecode(name))))
        for name in (b"/t\xff1.nii", b"/t\xfe1.nii")
    ]
    assert image_identity(named[0]) != image_identity(named[1])

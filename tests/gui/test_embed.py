"""Embedding as a person does it: a real window, real buttons, real files, real processes."""

from __future__ import annotations

import gc
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest

from tests.work.making import make_data, make_study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    # Of napari and its own dependencies, which we cannot mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PATIENCE_SECONDS = 240
REAL = ("mouse_fvb1", "deepreg_prostate02")
A_SHARD = 64


class Embedder:
    """Sits in front of a viewer with the Embed widget."""

    def __init__(self) -> None:
        import napari

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1400, 900)
        self.open_widget()

    def open_widget(self) -> None:
        from napari_samri._qt.embed_widget import EmbedWidget

        self.widget = EmbedWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Embed", area="right")
        self.rest()

    @property
    def status(self) -> Any:
        return self.widget.job.status

    def rest(self, seconds: float = 0.1) -> None:
        from qtpy.QtCore import QEvent
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.002)

    def until(self, holds: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < end, f"waited in vain for {what}; {self.status}"
            self.rest(0.02)
        self.rest()

    def until_ended(self) -> None:
        self.until(lambda: not self.status.busy, "the end")

    def press(self, button: Any) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QCheckBox

        assert button.isEnabled(), f"the button '{button.text()}' is not enabled"
        self.widget.ensureWidgetVisible(button)
        self.rest()
        place = button.rect().center()
        if isinstance(button, QCheckBox):  # may be wider than what can be clicked
            place = QPoint(9, place.y())
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)
        self.rest()

    def type_path(self, edit: Any, path: Path) -> None:
        from qtpy.QtTest import QTest

        line = edit.line_edit.native
        line.clear()
        QTest.keyClicks(line, str(path))
        line.editingFinished.emit()
        self.rest()

    def choose(self, source: str) -> None:
        self.widget.form.source.value = source
        self.rest()

    def leave(self) -> None:
        """Close the viewer, as at the end of a day."""
        self.viewer.close()
        self.rest(0.3)


@pytest.fixture
def sit_down() -> Iterator[Callable[[], Embedder]]:
    """Return a function that opens a viewer with the widget."""
    from napari_samri.work.run import find_runs

    people: list[Embedder] = []

    def sit() -> Embedder:
        people.append(Embedder())
        return people[-1]

    yield sit
    import napari

    for run in find_runs("embed", "warm"):
        run.cancel()
    for viewer in list(napari.Viewer._instances):
        viewer.close()
    end = time.monotonic() + PATIENCE_SECONDS
    while any(run.running for run in find_runs("embed", "warm")):
        assert time.monotonic() < end
        people[-1].rest()
    gc.collect()


def real_data_set(shared_data: Path, folder: Path) -> Path:
    """Copy two real volumes and their labels."""
    folder.mkdir()
    for name in REAL:
        for end in ("img", "seg"):
            [source] = (shared_data / "images_labelled").glob(f"{name}_{end}.nii*")
            shutil.copy(source, folder)
    return folder


def embed_in_four_sittings(sit_down: Callable[[], Embedder], data: Path, bank: Path) -> None:
    """Start, look, cancel; go on, close the window; come back, see the end, look at it."""
    from napari_samri.embeddings.bank import Bank
    from napari_samri.embeddings.bank.arrays import shard_key

    person = sit_down()
    progress = person.widget.progress
    assert not progress.buttons["cancel"].isEnabled()
    assert not progress.buttons["open"].isEnabled()
    person.type_path(person.widget.form.rows["folder"], data)
    assert person.widget.form.out.value == Path(f"{data}.zarr"), "a place is proposed"
    person.type_path(person.widget.form.out, bank)
    person.press(progress.buttons["embed"])
    assert not progress.buttons["embed"].isEnabled()
    person.until(lambda: person.status.done > A_SHARD + 2, "slices")
    assert 0 < progress.bar.value() < progress.bar.maximum()
    assert " slices" in progress.text.text()
    asked = time.monotonic()
    person.press(progress.buttons["cancel"])
    person.until_ended()
    assert person.status.phase == "stopped"
    assert time.monotonic() - asked < 5
    first, total = person.status.done, person.status.total
    assert A_SHARD + 2 < first < total
    [shard] = (bank / "parts").glob(f"*/{shard_key('emb', 0)}")
    written = shard.stat().st_mtime_ns

    person.press(progress.buttons["embed"])
    person.until(lambda: person.status.phase == "running" and person.status.total, "a new start")
    assert person.status.done >= A_SHARD, "what was done is not done again"
    assert person.widget.form.keep.value
    run = person.widget.job.run
    person.leave()

    person = sit_down()
    progress = person.widget.progress
    assert person.widget.job.run.jobs[0].folder == run.jobs[0].folder, "it is found again"
    person.until_ended()
    assert (person.status.phase, person.status.done) == ("finished", total)
    assert len(Bank(bank)) == total
    assert shard.stat().st_mtime_ns == written

    person.press(progress.buttons["open"])
    person.until(lambda: len(person.viewer.layers) == 2, "the bank's layers")
    image, labels = person.viewer.layers
    row = total // 2
    person.viewer.dims.set_current_step(0, row)
    person.rest()
    np.testing.assert_array_equal(np.asarray(image.data[row]), Bank(bank).thumb(row))
    np.testing.assert_array_equal(np.asarray(labels.data[row]), Bank(bank).labels(row))
    assert np.asarray(labels.data[row]).any()


def test_the_form_says_how_a_folder_is_read(tmp_path: Path) -> None:
    from qtpy.QtWidgets import QApplication

    from napari_samri._qt.embed_form import EmbedForm
    from napari_samri.datasets import Rules
    from napari_samri.work import Data, EmbedConfig, EmbedTask

    app = QApplication.instance() or QApplication([])
    form = EmbedForm("cpu", keep=False)
    tmp_path.joinpath("data").mkdir()
    form.rows["folder"].value, form.out.value = tmp_path / "data", tmp_path / "b.zarr"
    task = form.task("starter")
    config = EmbedConfig(manifest=tmp_path / "b.json", out=tmp_path / "b.zarr", device="cpu")
    assert task == EmbedTask(config=config, data=Data(path=tmp_path / "data"))
    chosen = {"layout": "brats", "patient_pattern": " ^(p1) ", "channel": 2, "axis": 1}
    chosen |= {"min_pixels": 4, "min_share": "0.25", "seed": 3, "split": "60:20:20"}
    chosen |= {"family": "sam", "quantisation": "int8", "workers": 3}
    for name, value in chosen.items():
        form.rows[name].value = value
    rules = Rules(axis=1, min_pixels=4, min_share=0.25, seed=3, train=60, validation=20, test=20)
    data = Data(
        path=tmp_path / "data", layout="brats", patient_pattern="^(p1)", channel=2, rules=rules
    )
    config = replace(config, family="sam", quantisation="int8")
    assert form.task("starter") == EmbedTask(config=config, data=data, workers=3)
    form.source.value = "manifest"
    hidden = [form.rows[name] for name in ("folder", "layout", "patient_pattern", "channel")]
    assert all(row.native.isHidden() for row in hidden)
    form.deleteLater()
    app.processEvents()


def test_a_made_up_data_set(sit_down: Callable[[], Embedder], tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_data(data, 18)
    embed_in_four_sittings(sit_down, data, tmp_path / "bank.zarr")


def test_real_volumes(sit_down: Callable[[], Embedder], tmp_path: Path, shared_data: Path) -> None:
    data = real_data_set(shared_data, tmp_path / "data")
    embed_in_four_sittings(sit_down, data, tmp_path / "bank.zarr")


def test_without_keep_running_it_ends_with_the_window(
    sit_down: Callable[[], Embedder], tmp_path: Path
) -> None:
    manifest = make_data(tmp_path / "data", 18)
    person = sit_down()
    person.choose("manifest")
    person.type_path(person.widget.form.rows["manifest"], manifest)
    person.press(person.widget.form.keep.native)
    assert not person.widget.form.keep.value
    person.press(person.widget.progress.buttons["embed"])
    person.until(lambda: person.status.done > 2, "slices")
    run = person.widget.job.run
    person.leave()
    person = sit_down()
    assert not person.widget.form.keep.value, "the choice is remembered"
    person.until_ended()
    assert person.status.phase == "stopped"
    assert not person.widget.progress.buttons["open"].isEnabled()
    person.until(lambda: not run.running, "the process to end")


def test_the_open_layers(sit_down: Callable[[], Embedder], tmp_path: Path) -> None:
    make_study(tmp_path, "case", 0)
    bank = tmp_path / "bank.zarr"
    person = sit_down()
    for end in ("img", "seg"):
        person.viewer.open(tmp_path / f"case_{end}.nii.gz", plugin="napari-samri")
    person.rest()
    person.choose("layers")
    assert person.widget.form.rows["image"].value.name == "case_img"
    assert person.widget.form.rows["labels"].value.name == "case_seg"
    person.type_path(person.widget.form.out, bank)
    person.press(person.widget.progress.buttons["embed"])
    person.until_ended()
    assert person.status.phase == "finished", person.status.text
    import napari

    person.press(person.widget.progress.buttons["open"])
    person.until(lambda: napari.current_viewer() is not person.viewer, "a viewer of its own")
    assert len(napari.current_viewer().layers) == 2
    assert len(person.viewer.layers) == 2, "a bank's rows do not mix with a volume"


def test_the_volume_in_view_is_there_before_segment_asks(
    sit_down: Callable[[], Embedder], tmp_path: Path
) -> None:
    from napari_samri import EmbeddingCache, load_predictor
    from napari_samri.embeddings.cache import cache_dir
    from napari_samri.geometry.intensity import percentile_window

    person = sit_down()
    assert not person.widget.warm.isEnabled()
    voxels = np.random.default_rng(0).normal(100, 9, (6, 40, 36)).astype(np.float32)
    person.viewer.add_image(voxels, name="plain")
    person.rest()
    person.press(person.widget.warm)
    person.until_ended()
    assert person.status.phase == "finished", person.status.text
    assert "6 slices" in person.status.text
    predictor = load_predictor(device="cpu", cache=EmbeddingCache(cache_dir(), memory_bytes=0))
    before = set(Path(cache_dir()).rglob("*"))
    window = percentile_window(voxels) if predictor.needs_window else None
    predictor.embed(voxels[3], window=window)
    assert set(Path(cache_dir()).rglob("*")) == before


def test_refusals_are_sentences(sit_down: Callable[[], Embedder], tmp_path: Path) -> None:
    person = sit_down()
    progress, form = person.widget.progress, person.widget.form
    person.press(progress.buttons["embed"])
    assert "there is no data set yet" in progress.message.text()
    person.type_path(form.rows["folder"], tmp_path / "nothing")
    person.press(progress.buttons["embed"])
    assert "there is no such file or folder" in progress.message.text()
    person.type_path(form.rows["folder"], tmp_path)
    person.type_path(form.out, tmp_path / "nowhere" / "bank.zarr")
    person.press(progress.buttons["embed"])
    assert "does not exist; make it first" in progress.message.text()
    person.type_path(form.out, tmp_path / "bank.zarr")
    person.press(progress.buttons["embed"])
    person.until_ended()
    assert person.status.phase == "failed"
    assert progress.message.isVisible()
    assert list(tmp_path.iterdir()) == []

    # One study that cannot be read does not stop the others.
    data = tmp_path / "data"
    make_data(data, 2)
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), data / "case1_seg.nii.gz")
    person.type_path(form.rows["folder"], data)
    person.press(progress.buttons["embed"])
    person.until_ended()
    assert person.status.phase == "finished", person.status.text
    assert progress.problems.isVisible()
    assert "case1" in progress.problems.item(0).text()


def test_nothing_leaks(sit_down: Callable[[], Embedder], tmp_path: Path) -> None:
    """The widget is closed and opened again, also in the middle of a job."""
    manifest = make_data(tmp_path / "data", 18)
    person = sit_down()
    viewer = person.viewer
    viewer.add_image(np.zeros((4, 8, 8)))
    person.viewer.window.remove_dock_widget(person.widget)
    person.widget.close()
    person.rest(0.3)

    def callbacks() -> list[int]:
        layers = viewer.layers
        events = (layers.events.inserted, layers.events.removed, layers.selection.events.active)
        return [len(event.callbacks) for event in events]

    before = callbacks()
    for _ in range(2):
        person.open_widget()
        if not person.status.busy:
            person.choose("manifest")
            person.type_path(person.widget.form.rows["manifest"], manifest)
            person.press(person.widget.progress.buttons["embed"])
        person.until(lambda: person.status.done, "slices")
        job = person.widget.job
        seen = job.status
        viewer.window.remove_dock_widget(person.widget)
        person.widget.close()
        person.rest(0.5)
        assert job.status is seen, "a closed widget hears nothing any more"
        assert len(job.changed) == 0
        assert callbacks() == before
